"""aksci.toml: models, loader and JSON Schema."""
