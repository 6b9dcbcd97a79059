"""CI/CD pipeline steps and task runner for microservices on Azure Kubernetes Service."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
