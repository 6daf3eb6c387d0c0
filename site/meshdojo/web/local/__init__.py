"""Shells on this machine, for its owner."""
