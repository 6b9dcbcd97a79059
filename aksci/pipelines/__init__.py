"""The ready-made pipelines, which ``aksci.nox.register`` offers: compositions of steps."""
