"""Find what a registry's other repositories have built on images that moved."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, get_args

from aksci.cascade.dependents.image_records import DAMAGE, ImageReader
from aksci.cascade.dependents.recorded_names import Names, TagName
from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.images.build.finished import content_identity
from aksci.images.dockerfile.recipe import EdgeType
from aksci.oci.catalog import PERMISSION
from aksci.oci.references import is_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from aksci.cascade.dependents.image_records import ImageRecord, LineageCache, Problem
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["FoundDependent", "Move", "Survey", "find_dependents", "in_order"]


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
class FoundDependent:
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
class Survey:
    """All of it."""

    found: tuple[FoundDependent, ...] = ()
    """Parents before children."""
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything was looked at: with an error, "none" does not mean that."""
        return not any(problem.error for problem in self.problems)


_TYPES = frozenset(get_args(EdgeType))


def find_dependents(
    registry: Registry,
    *,
    moved: Mapping[str, str],
    own: Collection[str],
    cache: LineageCache,
    repositories: Collection[str] | None = None,
    most: int = 200_000,
) -> Survey:
    """Find all images in other repositories that are built on what moved, directly or not.

    An image's lineage says what it is built from; where it has none, its annotations do (image
    specification 1.1, "Pre-Defined Annotation Keys"), which other tools write, too. Charts,
    releases and other artifacts are told by their manifests. What can't be looked at is among the
    problems: with an error among them, "nothing found" may be wrong.

    :param moved: full reference -> the digest that it means now. Every other digest is old.
    :param own: the project's own repositories, which are not looked at.
    :param repositories: all that the registry has, where they are listed already.
    :param most: tags that are looked at.
    :raises RegistryError: there is no list of repositories.
    """
    repositories = registry.repositories() if repositories is None else repositories
    reader = ImageReader(registry, cache, most=most)
    if not repositories:
        # A token for some repositories gets an empty list from ACR (Azure/acr, issue 751).
        reader.problem(registry.host, "it lists no repository", error=True, hint=PERMISSION)
    names = Names(registry.host, repositories)
    search = _Search(names, _Moved(registry, names, moved, reader), reader)
    # The cascade itself has looked at the project's own.
    images = reader.images(set(repositories) - set(own))
    records: dict[ImageRef, ImageRecord] | None = reader.records(images)
    found: dict[ImageRef, FoundDependent] = {}
    # What is remembered of a dependent may be old, so the registry is asked for it again. That may
    # bring in others that are only remembered yet: until none is left.
    while records is not None:
        found = search.dependents(images, records)
        records = reader.again(found, records)
    ordered, circular = in_order(found)
    for ref in circular:
        text = "it and what it is built on are built on each other; it goes first"
        reader.problem(f"{ref.repository}@{ref.digest}", text, error=False)
    cache.prune()
    problems = sorted(set(reader.problems), key=lambda one: (not one.error, one.where, one.text))
    return Survey(found=ordered, problems=tuple(problems))


class _Edge(NamedTuple):
    """One thing that an image says it was made from."""

    child: ImageRef
    reference: str
    type: str
    digest: str
    place: TagName


class _Search:
    """Follow the records from what moved."""

    def __init__(self, names: Names, moved: _Moved, reader: ImageReader) -> None:
        self._names = names
        self._moved = moved
        self._reader = reader

    def dependents(
        self, images: Mapping[ImageRef, tuple[str, ...]], records: Mapping[ImageRef, ImageRecord]
    ) -> dict[ImageRef, FoundDependent]:
        """Return what is built on what moved, and what is built on that."""
        edges = [edge for ref, record in records.items() for edge in self._edges(ref, record)]
        return {
            ref: FoundDependent(
                ref=ref,
                tags=images[ref],
                moves=tuple(sorted(moves.values(), key=_base_first)),
            )
            for ref, moves in self._moves(images, edges).items()
        }

    def _moves(
        self, images: Mapping[ImageRef, tuple[str, ...]], edges: list[_Edge]
    ) -> dict[ImageRef, dict[str, Move]]:
        """Return each dependent's moves by their references."""
        moves: dict[ImageRef, dict[str, Move]] = defaultdict(dict)
        by_place: dict[TagName, list[_Edge]] = defaultdict(list)
        for edge in edges:
            by_place[edge.place].append(edge)
            current = self._moved.now(edge.place, edge.digest)
            if current:
                moves[edge.child][edge.reference] = _move(edge, current)
        queue = deque(moves)
        while queue:
            parent = queue.popleft()
            places = (TagName("", parent.repository, tag) for tag in images[parent])
            for edge in chain.from_iterable(by_place.get(place, ()) for place in places):
                if edge.child == parent:  # it takes something from its own last version
                    continue
                known = moves[edge.child].get(edge.reference) if edge.child in moves else None
                if known and known.current != parent.digest:  # a copy of what moved elsewhere
                    continue
                if edge.child not in moves:
                    queue.append(edge.child)
                moves[edge.child][edge.reference] = _move(edge, parent.digest, parent)
        return moves

    def _edges(self, ref: ImageRef, record: ImageRecord) -> Iterator[_Edge]:
        """Yield what is recorded, as far as it can be understood."""
        for reference, kind, digest in _recorded(record):
            place = self._names.place(reference)
            if place is None:
                continue
            if is_digest(digest):
                yield _Edge(ref, reference, kind, digest, place)
            elif place in self._moved:
                where = f"{ref.repository}@{ref.digest}"
                text = f"it names {reference} as its base, and no digest: nobody can tell which"
                self._reader.problem(where, text, error=False)


def _recorded(record: ImageRecord) -> Iterator[tuple[str, str, str]]:
    """Yield references, kinds of edge and digests; whoever may push can have written them."""
    if record.lineage is None:
        if record.base:
            yield record.base[0], "runtime", record.base[1]
        return
    for reference, digest in record.lineage.parents.items():
        kind = record.lineage.edges.get(reference, {}).get("type")
        known = kind if isinstance(kind, str) and kind in _TYPES else ""
        yield reference, known, digest if isinstance(digest, str) else ""


def _move(edge: _Edge, current: str, parent: ImageRef | None = None) -> Move:
    return Move(
        reference=edge.reference,
        type=edge.type,
        recorded=edge.digest,
        current=current,
        parent=parent,
    )


def _base_first(move: Move) -> tuple[bool, bool, str]:
    return move.type != "runtime", move.parent is not None, move.reference


class _Moved:
    """The references that moved.

    :param moved: full reference -> the digest that it means now.
    """

    def __init__(
        self, registry: Registry, names: Names, moved: Mapping[str, str], reader: ImageReader
    ) -> None:
        self._registry = registry
        self._reader = reader
        places = {names.place(reference): digest for reference, digest in moved.items()}
        self._current = {place: digest for place, digest in places.items() if place}
        self._same: dict[TagName, frozenset[str]] = {}

    def now(self, place: TagName, recorded: str) -> str | None:
        """Return what a reference means now where that is not what was recorded."""
        current = self._current.get(place)
        if current is None or recorded == current or recorded in self._same_as(place, current):
            return None
        return current

    def __contains__(self, place: object) -> bool:
        return place in self._current

    def _same_as(self, place: TagName, current: str) -> frozenset[str]:
        """Return the digests by which the same image may have been recorded.

        Some tools record the digest of one platform's manifest, and the lineage of a project's own
        images has their ``content_identity``. Of an image in another registry, only its own digest
        is known.
        """
        # Once for each: every edge that has another digest asks.
        if place not in self._same:
            self._same[place] = frozenset() if place.registry else self._read(place, current)
        return self._same[place]

    def _read(self, place: TagName, current: str) -> frozenset[str]:
        where = f"{place.repository}@{current}"
        try:
            manifest = self._registry.manifest(place.repository, current)
            listed = [entry.digest for entry in manifest.entries]
            return frozenset({*listed, content_identity(manifest)})
        except NotFoundInRegistry:
            return frozenset()
        except DAMAGE:
            self._reader.problem(where, "it is damaged", error=False)
        except RegistryError as error:
            self._reader.problem(where, error.message, error=True, hint=error.hint)
        return frozenset()


def in_order(
    found: Mapping[ImageRef, FoundDependent],
) -> tuple[tuple[FoundDependent, ...], tuple[ImageRef, ...]]:
    """Return parents before children, and the images that had to go before one of theirs.

    Images may need each other in a circle: each was built from an earlier version of the other.
    One of them then goes first, and takes what comes later as it is now.
    """
    # By hand, for graphlib refuses circles, and here they are no error.
    waiting = {ref: set(one.parents) for ref, one in found.items()}
    children: dict[ImageRef, list[ImageRef]] = defaultdict(list)
    for ref, parents in waiting.items():
        for parent in parents:
            children[parent].append(ref)
    ready = [ref for ref, parents in waiting.items() if not parents]
    heapq.heapify(ready)
    done: dict[ImageRef, FoundDependent] = {}
    circular = []
    while waiting:
        if not ready:
            first = _in_a_circle(waiting)
            circular.append(first)
            waiting[first].clear()
            ready.append(first)
        ref = heapq.heappop(ready)
        del waiting[ref]
        done[ref] = _after(found[ref], done)
        for child in children[ref]:
            if waiting.get(child):
                waiting[child].discard(ref)
                if not waiting[child]:
                    heapq.heappush(ready, child)
    return tuple(done.values()), tuple(circular)


def _in_a_circle(waiting: Mapping[ImageRef, set[ImageRef]]) -> ImageRef:
    """Return one image of a circle: who goes from parent to parent ends in one."""
    ref = min(waiting)
    passed: set[ImageRef] = set()
    while ref not in passed:
        passed.add(ref)
        ref = min(waiting[ref])
    return ref


def _after(one: FoundDependent, done: Mapping[ImageRef, FoundDependent]) -> FoundDependent:
    """Leave an image those parents that were made before it."""
    moves = (move if move.parent in done else replace(move, parent=None) for move in one.moves)
    return replace(one, moves=tuple(moves))
