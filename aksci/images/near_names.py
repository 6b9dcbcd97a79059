"""Images from outside whose names are all but those of the project's own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aksci.images.owners import own_registries
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.config.models import Config
    from aksci.images.graph import Graph

__all__ = ["NearName", "own_names_near"]

_HUB = "docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, kw_only=True)
class NearName:
    """A name that means an image from outside, and the names that the project builds."""

    written: str
    """Without Docker Hub's address."""
    built: tuple[str, ...]
    same_repository: bool
    """It differs in its tag alone."""
    images: tuple[str, ...]
    """Those that need it."""


def own_names_near(graph: Graph, config: Config) -> Iterator[NearName]:
    """Yield each image from outside that has the repository of one of the project's, or nearly so.

    One that names its own repository means an earlier version of itself.
    """
    names = _Names(graph, config)
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for one in graph.external:
        if not one.previous and one.type != "syntax":
            users[one.reference][one.image] = None
    for reference, images in sorted(users.items()):
        parsed = parse_reference(reference)
        if parsed.digest:  # one build of the past: nobody takes that for the newest
            continue
        place = (parsed.registry, parsed.repository)
        near = place if place in names.tags else names.misspelt(*place)
        if near is None or parsed.tag in names.tags.get(place, ()):
            continue
        others = [name for name in images if name not in names.owners[near]]
        if others:
            yield NearName(
                written=_short(*place, parsed.tag),
                built=tuple(_short(*near, tag) for tag in names.tags[near]),
                same_repository=near == place,
                images=tuple(others),
            )


class _Names:
    """What the project's images are called: by aksci.toml, and by other tools' files."""

    def __init__(self, graph: Graph, config: Config) -> None:
        self.tags: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        """Registry and repository -> tags."""
        self.owners: dict[tuple[str, str], set[str]] = defaultdict(set)
        registries = sorted(own_registries(config))
        for name, image in graph.images.items():
            for registry in registries:
                repository = image.spec.repository
                if registry == _HUB:
                    repository = parse_reference(repository).repository
                self.tags[registry, repository].update(dict.fromkeys(image.spec.tags))
                self.owners[registry, repository].add(name)
            for alias in image.spec.aliases:
                parsed = parse_reference(alias)
                # What Docker Hub publishes under a tag is its own: nobody here publishes there.
                official = parsed.registry == _HUB and parsed.repository.startswith(_OFFICIAL)
                if parsed.tag and not official:
                    place = (parsed.registry, parsed.repository)
                    self.tags[place][parsed.tag] = None
                    self.owners[place].add(name)

    def misspelt(self, registry: str, repository: str) -> tuple[str, str] | None:
        """Return the own repository from which another one differs by a letter."""
        if repository.startswith(_OFFICIAL):
            return None
        lengths = range(len(repository) - 1, len(repository) + 2)
        alike = (
            other for length in lengths for other in self._by_length.get((registry, length), ())
        )
        return next(((registry, other) for other in alike if _near(repository, other)), None)

    @cached_property
    def _by_length(self) -> dict[tuple[str, int], list[str]]:
        """Registry and length of a repository's name -> repositories."""
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for registry, repository in self.tags:
            found[registry, len(repository)].append(repository)
        return found


def _near(word: str, other: str) -> bool:
    """Tell whether a letter was left out, doubled, mistaken, or changed places with the next.

    Digits are versions: ``python3.11`` is not ``python3.12`` misspelt.
    """
    if abs(len(word) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    left, right = word[start:], other[start:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    letters = left + right
    swapped = len(left) == 2 and left == right[::-1]  # noqa: PLR2004 - two that changed places
    return letters.isalpha() and (swapped or max(len(left), len(right)) == 1)


def _short(registry: str, repository: str, tag: str | None) -> str:
    if registry != _HUB:
        return f"{registry}/{repository}:{tag}"
    return f"{repository.removeprefix(_OFFICIAL)}:{tag}"
