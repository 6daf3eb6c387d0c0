"""A pod that only waits: labs exec ``curl`` in it, to see the mesh as one of its workloads does."""
