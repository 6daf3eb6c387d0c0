"""Proves labs: each can be failed, solved as documented, solved wrongly, and reset, on any backend."""
