"""The gate: scan, verdict, signature, release."""
