"""Steps before and after a rollout."""
