"""Sampan: Kubernetes in one pip install. ARCHITECTURE.md at the top of the repository is the map of this package."""

__version__ = "0.1.0"
KUBERNETES_VERSION = "v1.37.0"
