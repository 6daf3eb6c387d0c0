"""What an installation of Istio consists of: profiles and options in, Kubernetes objects out."""
