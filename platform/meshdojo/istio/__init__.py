"""Istio: the control plane of the embedded mesh, and the tools around it."""
