"""Find what a registry's other repositories have built on images that moved."""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, get_args

from aksci.cascade.dependents.moved import Moved
from aksci.cascade.dependents.order import in_order
from aksci.cascade.dependents.recorded_names import Names, TagName
from aksci.cascade.dependents.survey import Reader
from aksci.cascade.dependents.survey_result import Found, Move, Survey
from aksci.images.dockerfile.recipe import EdgeType
from aksci.oci.answers import is_digest
from aksci.oci.catalog import PERMISSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from aksci.cascade.dependents.lineage_cache import LineageCache
    from aksci.cascade.dependents.survey_result import Record
    from aksci.oci.catalog import CatalogRegistry
    from aksci.oci.references import ImageRef

__all__ = ["find_dependents"]

_TYPES = frozenset(get_args(EdgeType))


def find_dependents(
    registry: CatalogRegistry,
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
    reader = Reader(registry, cache, most=most)
    if not repositories:
        # A token for some repositories gets an empty list from ACR (Azure/acr, issue 751).
        reader.problem(registry.host, "it lists no repository", error=True, hint=PERMISSION)
    names = Names(registry.host, repositories)
    search = _Search(names, Moved(registry, names, moved, reader), reader)
    images = reader.images(set(repositories) - set(own))
    records: dict[ImageRef, Record] | None = reader.records(images)
    found: dict[ImageRef, Found] = {}
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

    def __init__(self, names: Names, moved: Moved, reader: Reader) -> None:
        self._names = names
        self._moved = moved
        self._reader = reader

    def dependents(
        self, images: Mapping[ImageRef, tuple[str, ...]], records: Mapping[ImageRef, Record]
    ) -> dict[ImageRef, Found]:
        """Return what is built on what moved, and what is built on that."""
        edges = [edge for ref, record in records.items() for edge in self._edges(ref, record)]
        return {
            ref: Found(
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

    def _edges(self, ref: ImageRef, record: Record) -> Iterator[_Edge]:
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


def _recorded(record: Record) -> Iterator[tuple[str, str, str]]:
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
