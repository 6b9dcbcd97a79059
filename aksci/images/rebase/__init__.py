"""Rebases: the base is exchanged under an image, in the registry, without a build."""

from __future__ import annotations

from aksci.images.rebase.explain import explain_text

__all__ = ["explain_text"]
