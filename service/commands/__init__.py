"""What the command line does, one module for each part; service/cli.py joins them."""
