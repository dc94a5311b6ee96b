"""How good the ranking is: time-ordered, on recorded data, beside honest baselines. ``make evaluate`` runs it."""
