"""The gate: scan an image, and decide about it."""
