"""The embedded local platform: BuildKit, a registry and a single-node Kubernetes, as processes."""
