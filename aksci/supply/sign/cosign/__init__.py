"""Sigstore signatures, made and verified by cosign."""
