"""Images: their graph, what must be built and why, and building it."""
