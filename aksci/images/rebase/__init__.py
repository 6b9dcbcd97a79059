"""Rebases: the base is exchanged under an image, in the registry, without a build."""
