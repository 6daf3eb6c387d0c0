"""Automatic sidecar injection: which pods get a proxy, and what the pod then looks like."""
