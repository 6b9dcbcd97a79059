"""Compositions of aksci's steps: what each session does, in order."""
