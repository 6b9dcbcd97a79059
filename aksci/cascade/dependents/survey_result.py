"""What a search through a registry's other repositories gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.images.lineage import Lineage
    from aksci.oci.references import ImageRef

__all__ = ["Found", "Move", "Problem", "Record", "Survey"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one image says of itself."""

    image: bool
    """False: it is an artifact, such as a chart, a signature or a layer cache."""
    base: tuple[str, str] | None = None
    """``org.opencontainers.image.base.name`` and ``.digest``, which an index may have on its
    platforms' manifests only."""
    lineage: Lineage | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """One thing that an image was made from and that is, or will be, another one now."""

    reference: str
    """As recorded; it comes from the network."""
    type: str
    """The kind of edge: ``runtime``, ``copy``…; empty where it isn't known."""
    recorded: str
    """Digest; of an image of the same project it may be its ``content_identity``."""
    current: str
    """Digest that the reference means now."""
    parent: ImageRef | None = None
    """The image among those found that it is, whose digest is going to change. None: ``current`` is
    what to take."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An image in another repository that is built on what moved, or on what is built on that."""

    ref: ImageRef
    tags: tuple[str, ...]
    """The stable tags that mean it, sorted."""
    moves: tuple[Move, ...]
    """At least one; its base first."""

    @property
    def parents(self) -> tuple[ImageRef, ...]:
        """What has to be made before it, among those found."""
        return tuple(dict.fromkeys(move.parent for move in self.moves if move.parent))

    @property
    def reference(self) -> str:
        """The reference of the first move."""
        return self.moves[0].reference

    @property
    def recorded(self) -> str:
        """The digest that the first move leaves."""
        return self.moves[0].recorded

    @property
    def current(self) -> str:
        """The digest that the first move goes to."""
        return self.moves[0].current


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that could not be looked at."""

    where: str
    """``repository``, ``repository:tag`` or ``repository@digest``; it comes from the network."""
    text: str
    """A sentence."""
    error: bool
    """Whether dependents may have been missed because the registry failed. Otherwise it is a
    warning: the thing is damaged, or went away meanwhile."""
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All of it."""

    found: tuple[Found, ...] = ()
    """Parents before children."""
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything was looked at: with an error, "none" does not mean that."""
        return not any(problem.error for problem in self.problems)
