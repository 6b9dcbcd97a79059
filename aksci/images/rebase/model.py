"""What decides whether an image may be rebased, and what a rebase gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.registry import Manifest

__all__ = ["Condition", "Rebased"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that must hold for a rebase to be the same as a rebuild."""

    name: str
    """A stable word, such as ``only-linked-copies`` or ``base-is-prefix``."""
    holds: bool
    detail: str
    """A sentence: what was found, with lines and values; what would make it hold, where it does
    not."""


@dataclass(frozen=True, kw_only=True)
class Rebased:
    """An image on another base, stored in the registry by digest."""

    digest: str
    manifest: Manifest
    """Or the index, as it was stored."""
    provenance: Mapping[str, Any]
    """SLSA provenance v0.2 of the rebase, with the old image and both bases as materials."""
