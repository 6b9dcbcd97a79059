"""Reporters: how narration looks on a terminal, in GitHub Actions and in Azure Pipelines."""
