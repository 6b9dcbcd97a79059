"""What is exported to ACR Tasks, and what can't be: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.azure.acr_tasks.source_location import SourceLocation

__all__ = ["AcrExport", "AcrTask", "LeftOut"]


@dataclass(frozen=True, kw_only=True)
class AcrTask:
    """One image that ACR Tasks can build."""

    image: str
    name: str
    """The task's: 5 to 50 letters, digits and dashes."""
    repository: str
    tags: tuple[str, ...]
    """Stable ones."""
    dockerfile: str
    """Relative to the project, as is ``context``."""
    context: str
    target: str | None
    args: Mapping[str, str]
    registry_args: Mapping[str, str]
    """Build arguments that begin with the registry -> what follows it: ``/shop/base:latest``."""
    platform: str
    trigger: Literal["Runtime", "All"]
    """Which bases ACR Tasks is asked to follow."""
    notes: tuple[str, ...] = ()
    """What the task does otherwise than aksci, as sentences."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One image that ACR Tasks can't build as it is."""

    image: str
    reasons: tuple[str, ...]
    """Sentences; each says what to do where something can be done."""


@dataclass(frozen=True, kw_only=True)
class AcrExport:
    """Everything that an export writes."""

    project: str
    registry: str | None
    """The name of the Azure container registry; None: the environment's is another kind."""
    source: SourceLocation
    tasks: tuple[AcrTask, ...]
    """Bases before what stands on them."""
    left_out: tuple[LeftOut, ...]
    step_timeout: int
    """Seconds."""

    @property
    def run_timeout(self) -> int:
        """Seconds for both steps of a run (``az acr task create --timeout``: 300 to 28,800)."""
        return min(28_800, max(300, 2 * self.step_timeout))
