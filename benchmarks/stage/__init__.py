"""What the benchmarks stand on: made papers and people, relays that take everything, plain ways."""
