"""Build engines: the ``Builder`` protocol, buildx and its drivers, several engines at once."""
