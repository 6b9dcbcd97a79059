"""Asking other projects' pipelines to run: GitHub and Azure Pipelines."""
