"""Dockerfiles: their grammar, their stages, and what a target of one means."""
