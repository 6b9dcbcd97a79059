"""What other repositories of a registry have built on an image, and who is asked to follow."""

from __future__ import annotations

from aksci.images.wide.asked import Asked, asked_lately, asking_key
from aksci.images.wide.cache import LineageCache
from aksci.images.wide.find import find_dependents
from aksci.images.wide.loop import chain_of, extended, may_ask
from aksci.images.wide.model import Found, Move, Problem, Survey

__all__ = [
    "Asked",
    "Found",
    "LineageCache",
    "Move",
    "Problem",
    "Survey",
    "asked_lately",
    "asking_key",
    "chain_of",
    "extended",
    "find_dependents",
    "may_ask",
]
