"""Export to ACR Tasks."""
