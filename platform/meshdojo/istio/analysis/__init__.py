"""What ``istioctl analyze`` looks for: mistakes that no single object shows."""
