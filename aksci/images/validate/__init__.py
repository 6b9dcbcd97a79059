"""Validate: run an image after its build, before anything is built on it or released."""
