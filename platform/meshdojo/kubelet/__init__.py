"""The node of the embedded cluster: pods are processes, each with loopback addresses of its own."""
