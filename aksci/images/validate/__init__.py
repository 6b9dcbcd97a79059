"""Validate: run an image after its build, before it or anything built on it is finished."""
