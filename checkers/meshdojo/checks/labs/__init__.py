"""The checks, one module per lab."""
