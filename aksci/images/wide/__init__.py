"""What other repositories of a registry have built on an image."""
