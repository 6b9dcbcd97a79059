"""What a Dockerfile means for one target, or for one target on several platforms."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aksci.images.dockerfile.parser import Instruction

__all__ = ["EdgeType", "Need", "PartOf", "Recipe", "Sources", "unite"]

_Item = TypeVar("_Item")

EdgeType = Literal["runtime", "stage", "copy", "mount", "syntax", "context", "requires"]
"""``requires``: aksci.toml says so, and nothing in the Dockerfile does."""


@dataclass(frozen=True, order=True)
class Need:
    """One image that a Dockerfile's target needs, as its author wrote it, variables expanded.

    Of the type ``context``, it is the value of a named context: ``image:NAME`` or
    ``docker-image://REFERENCE``.
    """

    reference: str
    type: EdgeType


@dataclass(frozen=True, kw_only=True)
class PartOf:
    """A source of the build context of which not all is read."""

    path: str
    """As the other sources; empty: the context itself."""
    included: str | None = None
    """The pattern below it whose matches are read (``COPY --parents``); None: all of it."""
    excluded: tuple[str, ...] = ()
    """Patterns of what is not (``--exclude``), in order, as they are written."""


Sources = frozenset[str | PartOf] | None
"""Paths and patterns of the build context that are read (COPY, ADD, bind mounts), relative to it,
with slashes, never empty; what is in a folder belongs to it, and a path may lead through symbolic
links. None: all of the context counts, or nobody can be sure."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a Dockerfile means for one target."""

    needs: tuple[Need, ...]
    """Sorted, without duplicates; ``scratch`` is not an image."""
    runtime: str | None
    """The image that the final stage is based on, through other stages, as in ``Need.reference``;
    None: scratch, or a folder."""
    instructions: tuple[Instruction, ...]
    """Those that count: ARGs before the first FROM that reach the target, and the reachable stages
    in order. What a base's ONBUILD adds stands after its FROM, and has its line."""
    declared: frozenset[str]
    """ARGs that they declare."""
    meaning: tuple[Instruction, ...] = ()
    """Those instructions, or of several platforms those of each, as they count in a key: without
    what BuildKit takes no notice of."""
    names_count: bool = False
    """Whether the names of stages and of the target are in the image, or decide what is."""
    stage_names: frozenset[str]
    """Lower case, of all stages."""
    opaque: tuple[str, ...]
    """Why the Dockerfile can't be read for sure; empty when it can."""
    sources: Sources = None
    used_args: frozenset[str] | None = None
    """Build arguments whose values count; None: nobody can be sure, so all of them do."""
    onbuild: tuple[Instruction, ...] = ()
    """What an image based on this one runs first (ONBUILD, unwrapped)."""
    bases: frozenset[str] = frozenset()
    """The bases of its stages, as in ``Need.reference``: their ONBUILD runs here."""
    platforms: frozenset[tuple[str, str]] = frozenset()
    """What stages are based on or copy from, as in ``Need.reference``, and for which platform: that
    of their FROM, or the target's."""


def unite(recipes: Sequence[Recipe]) -> Recipe:
    """Unite what one Dockerfile and target mean for several platforms: all that any of them needs.

    The runtime base is None where they differ in it.
    """
    first, *others = recipes
    if all(one == first for one in others):
        return first
    same = all(recipe.runtime == first.runtime for recipe in others)
    sources = [recipe.sources for recipe in recipes]
    used = [recipe.used_args for recipe in recipes]
    return Recipe(
        needs=tuple(sorted({need for recipe in recipes for need in recipe.needs})),
        runtime=first.runtime if same else None,
        instructions=_merged(recipes),
        declared=frozenset().union(*(recipe.declared for recipe in recipes)),
        meaning=tuple(one for recipe in _different(recipes) for one in recipe),
        names_count=any(recipe.names_count for recipe in recipes),
        stage_names=frozenset().union(*(recipe.stage_names for recipe in recipes)),
        opaque=tuple(dict.fromkeys(why for recipe in recipes for why in recipe.opaque)),
        sources=_all_or_none(sources),
        used_args=_all_or_none(used),
        onbuild=tuple(dict.fromkeys(one for recipe in recipes for one in recipe.onbuild)),
        bases=frozenset().union(*(recipe.bases for recipe in recipes)),
        platforms=frozenset().union(*(recipe.platforms for recipe in recipes)),
    )


def _different(recipes: Sequence[Recipe]) -> Iterable[tuple[Instruction, ...]]:
    return dict.fromkeys(recipe.meaning for recipe in recipes)


def _all_or_none(sets: Sequence[frozenset[_Item] | None]) -> frozenset[_Item] | None:
    # If nobody is sure of one platform, nobody is of all: None wins.
    known = [one for one in sets if one is not None]
    return frozenset().union(*known) if len(known) == len(sets) else None


def _merged(recipes: Sequence[Recipe]) -> tuple[Instruction, ...]:
    """Merge instructions by line; several that stand in one line (ONBUILD's) keep their order."""
    found: dict[tuple[int, int, Instruction], Instruction] = {}
    for recipe in recipes:
        seen: Counter[int] = Counter()
        for one in recipe.instructions:
            found.setdefault((one.line, seen[one.line], one), one)
            seen[one.line] += 1
    return tuple(found[key] for key in sorted(found, key=lambda key: key[:2]))
