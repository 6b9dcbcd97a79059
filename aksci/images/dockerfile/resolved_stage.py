"""A stage of a Dockerfile for some arguments and contexts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.images.dockerfile.instruction_reads import CopySource
    from aksci.images.dockerfile.parser import Instruction, Stage

__all__ = ["ResolvedStage"]


@dataclass(kw_only=True)
class ResolvedStage:
    """One stage for some arguments and contexts."""

    written: Stage
    base: str
    """What FROM names, variables expanded."""
    base_stage: int | None
    """The earlier stage that it means; None: it means an image."""
    context: str | None
    """The named context that stands in for all of it."""
    instructions: list[Instruction]
    """FROM, what the ONBUILD of its base adds, and its own."""
    copied: list[tuple[CopySource, int | None]] = field(default_factory=list)
    """What it takes files from: a stage's index, or else an image."""

    @property
    def index(self) -> int:
        """Its place among the stages."""
        return self.written.index

    @property
    def counting(self) -> list[Instruction]:
        """The instructions that make it; of one that a context stands in for, its FROM."""
        return self.instructions if self.context is None else self.instructions[:1]

    @property
    def onbuild(self) -> list[Instruction]:
        """What it makes the stages do that are based on it, as it is written."""
        return [one for one in self.instructions if one.keyword == "ONBUILD"]
