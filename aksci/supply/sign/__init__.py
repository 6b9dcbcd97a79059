"""Signatures: make them, verify them."""
