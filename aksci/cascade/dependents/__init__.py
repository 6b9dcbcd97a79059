"""What other repositories of a registry have built on an image, and who is asked to follow."""
