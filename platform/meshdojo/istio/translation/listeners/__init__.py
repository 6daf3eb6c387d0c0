"""Listeners (LDS): what a proxy accepts, and how it tells one kind of connection from another."""
