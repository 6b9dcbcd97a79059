"""Which images a user means: ``--only``, ``--with-dependents``, and the names that they type."""

from __future__ import annotations

import difflib
from collections import defaultdict
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.images.graph import Graph

__all__ = ["names_of", "require_forced", "require_images", "select"]

_SHOWN = 12
"""Names in a message; more would hide what it says."""


def select(graph: Graph, only: Iterable[str], *, with_dependents: bool = False) -> frozenset[str]:
    """Return the images that a run is about; all of them where none is named.

    :param only: these, and what they need.
    :param with_dependents: also all that is downstream of one of ``only``, and what that needs.
    :raises ConfigError: there is no such image.
    """
    named = names_of(only, "only")
    if not named:
        return frozenset(graph.images)
    require_images(graph, named)
    if with_dependents:
        named = _reach(named, _children(graph.parents))
    return _reach(named, graph.parents)


def names_of(given: Iterable[str], parameter: str) -> frozenset[str]:
    """Return the names that a step was given.

    :raises ConfigError: it was given a text, whose letters Python would take for names.
    """
    if isinstance(given, str):
        raise ConfigError(
            f"{parameter}={given!r} is a text; names of images are expected.",
            hint=f"{parameter}=[{given!r}]",
        )
    return frozenset(given)


def require_forced(graph: Graph, force: frozenset[str], selected: frozenset[str]) -> None:
    """Refuse images to build again that do not exist, or that the run is not about.

    :raises ConfigError: there is such an image.
    """
    require_images(graph, force)
    if force - selected:
        raise ConfigError(
            f"{', '.join(sorted(force - selected))} is to be built again, and is not selected.",
            hint="name it with --only too, or leave out --force.",
        )


def require_images(graph: Graph, names: Iterable[str]) -> None:
    """Refuse names that no image has.

    :raises ConfigError: there is no such image; the hint says which one is spelt alike.
    """
    unknown = sorted(set(names) - set(graph.images))
    if not unknown:
        return
    known = sorted(graph.images)
    alike = difflib.get_close_matches(unknown[0], known, n=3)
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    raise ConfigError(
        f"There is no image {', '.join(map(repr, unknown))}. Known: {shown}.",
        hint=f"did you mean {' or '.join(alike)}?" if alike else "nox -s graph lists all of them.",
    )


def _children(parents: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, needed in parents.items():
        for parent in needed:
            found[parent].add(name)
    return {name: frozenset(children) for name, children in found.items()}


def _reach(names: frozenset[str], steps: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return some names and all that is reached from them, step by step."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(steps.get(name, ()))
    return frozenset(found)
