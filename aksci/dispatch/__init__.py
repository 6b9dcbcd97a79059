"""Asking other projects' pipelines to run: GitHub and Azure Pipelines."""

from __future__ import annotations

from aksci.dispatch.ask import Ask, Dispatcher, MaybeAskedError
from aksci.dispatch.make import make_dispatcher

__all__ = ["Ask", "Dispatcher", "MaybeAskedError", "make_dispatcher"]
