"""What applies a release to an environment."""
