"""Notary Project signatures: made by notation, verified here too."""
