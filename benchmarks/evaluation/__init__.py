"""How good the ranking is: in order of time, on recorded data, beside honest baselines."""
