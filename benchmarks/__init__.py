"""Benchmarks: repositories made to measure, our sessions beside their peers, and a report."""
