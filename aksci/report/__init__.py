"""What aksci found and did, for people and for other programs: one module a format."""
