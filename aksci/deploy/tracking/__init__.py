"""Follow a rollout, and say why one failed."""
