"""The webhook receiver: registries tell of pushes, and cascades start."""
