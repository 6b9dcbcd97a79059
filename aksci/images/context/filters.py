"""What COPY takes of a folder that it names: ``--exclude``, and the paths of ``--parents``.

Dockerfile reference, "COPY --exclude", "COPY --parents" and "ADD --exclude". BuildKit hands their
patterns to its module patternmatcher, which reads ignore files, too: they are relative to the
folder, and are not tried on what the source itself names (BuildKit 0.34, fsutil's ``copy``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from aksci.images.context.ignore import NOTHING, compile_patterns

if TYPE_CHECKING:
    from aksci.images.context.ignore import Ignore, Matches
    from aksci.images.dockerfile.recipe import PartOf

__all__ = ["Filter", "Filtering", "filter_of"]


@dataclass(frozen=True)
class Filter:
    """What is read of a folder."""

    included: str | None
    """The pattern of what is; None: all that is not excluded."""
    excluded: tuple[str, ...]

    @property
    def start(self) -> Filtering:
        """What the source itself names: the patterns of ``--exclude`` are not tried on it.

        Of ``--parents``, BuildKit is sent only what is included; any other file is there because
        another source names it, which counts it.
        """
        if self.included:
            return Filtering(self, counts=False, included=NOTHING)
        return Filtering(self, counts=True, included=None)

    @cached_property
    def includes(self) -> Ignore:
        """The pattern of what is included, as something that "ignores" it."""
        return compile_patterns([self.included] if self.included else [])

    @cached_property
    def excludes(self) -> Ignore:
        """The patterns of what is excluded."""
        return compile_patterns(self.excluded)


@dataclass(frozen=True)
class Filtering:
    """How far a filter has come on the way to an entry."""

    filter: Filter
    counts: bool
    """Whether the entry is read, and not only on the way to one."""
    included: Matches | None
    """None: all that it holds is included."""
    excluded: Matches = NOTHING

    def step(self, name: str) -> Filtering | None:
        """Return what is read of an entry of this folder; None: neither it nor what it holds."""
        excludes = self.filter.excludes
        word = name if self.excluded is NOTHING else f"/{name}"
        left_out, excluded = excludes.decide(word, self.excluded)
        if left_out and not excludes.takes_back:
            return None
        included = self.included
        if included is not None:
            word = name if included is NOTHING else f"/{name}"
            found, included = self.filter.includes.decide(word, included)
            if found:
                included = None  # and so is all below it
            elif included.place is not None and not included.place.places:
                return None
        return Filtering(
            self.filter,
            counts=included is None and not left_out,
            included=included,
            excluded=excluded,
        )


@lru_cache(maxsize=64)
def filter_of(part: PartOf) -> Filter | None:
    """Return the filter of a source; None: nobody knows what it leaves out."""
    found = Filter(part.included, part.excluded)
    doubts = (*found.excluded, found.included or "")
    # Variables in ``--exclude`` mean themselves today. An escape of other text may mean anything.
    if any("$" in one or not (one.isascii() or one.isprintable()) for one in doubts):
        return None
    if found.includes.doubt is not None or found.excludes.doubt is not None:
        return None
    return found
