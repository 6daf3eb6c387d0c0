"""Clusters (CDS): one per service, port and subset; one per port of the application; the ones for the unknown."""
