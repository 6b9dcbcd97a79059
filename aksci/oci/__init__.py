"""Registries: references by digest, the client, and writing images and artifacts."""
