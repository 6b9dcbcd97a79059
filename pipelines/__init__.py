"""How this repository releases the shop: pipelines that use aksci's public names only."""
