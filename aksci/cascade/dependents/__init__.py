"""The dependents of an image in other repositories, and who is asked to rebuild them."""
