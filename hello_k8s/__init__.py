"""hello, k8s: an interactive textbook for Docker and Kubernetes in which everything runs."""

__version__ = "0.1.0"
