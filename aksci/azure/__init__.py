"""Azure: what the other rooms need of it, and what it needs of us."""
