"""Routes (RDS): VirtualServices, and the default route of every service."""
