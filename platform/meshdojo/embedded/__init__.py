"""The embedded cluster, put together: where its files are, how its processes start and stop."""
