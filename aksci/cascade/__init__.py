"""Cascades: what is based on images that changed is rebuilt."""
