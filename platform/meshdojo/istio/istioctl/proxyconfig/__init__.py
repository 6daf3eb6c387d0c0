"""``istioctl proxy-config``: what a proxy's Envoy really has, as tables."""
