"""``istioctl`` for the embedded mesh: what the course uses of it, with the real one's flags, words and tables."""
