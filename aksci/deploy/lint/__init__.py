"""Checks that need neither a build nor a cluster."""
