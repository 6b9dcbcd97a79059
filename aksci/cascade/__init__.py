"""Cascades: what stands on images that changed is made again."""
