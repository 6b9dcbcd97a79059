"""A team's own parts for aksci, one of each kind."""
