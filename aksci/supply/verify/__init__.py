"""Judge digests, releases and what runs."""
