"""One namespace of a cluster, and what runs there."""
