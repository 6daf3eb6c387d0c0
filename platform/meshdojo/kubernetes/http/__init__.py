"""The API over HTTPS: what unmodified clients (kubectl, client libraries, istioctl) speak to."""
