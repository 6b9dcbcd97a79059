"""What is drawn: nodes and arrows, the same for every form of drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from aksci.images.reason_wording import explain
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.images.graph import Graph
    from aksci.images.plan import Work

__all__ = ["Arrow", "Drawing", "Node", "drawing_of"]

State = Literal["build", "reuse", "unknown", "external"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """An image of the project, or one from outside."""

    name: str
    """Unique: an external image's name is its reference."""
    state: State
    """``unknown``: nobody asked the registry."""
    title: str
    """What to show: the name, or a reference as Docker shortens it."""
    details: tuple[str, ...] = ()
    """Lines: the reasons to build it, or the digest that is reused, and where it comes from."""


@dataclass(frozen=True, order=True, kw_only=True)
class Arrow:
    """``end`` needs ``start``."""

    start: str
    end: str
    types: tuple[str, ...]
    """Sorted: one image may need another in several ways."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A graph to draw."""

    title: str
    nodes: tuple[Node, ...]
    """External images first, then the project's, parents before children."""
    arrows: tuple[Arrow, ...]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def children(self) -> dict[str, list[Arrow]]:
        """Name -> the arrows that leave it."""
        found: dict[str, list[Arrow]] = {node.name: [] for node in self.nodes}
        for arrow in self.arrows:
            found[arrow.start].append(arrow)
        return found

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """Name -> the nodes that it needs."""
        found: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for arrow in self.arrows:
            found[arrow.end].append(arrow.start)
        return found


def drawing_of(graph: Graph, work: Iterable[Work] = (), *, title: str) -> Drawing:
    """Return what there is to draw of a graph.

    :param work: of a plan, where there is one: it gives the images their states and reasons.
    """
    known = {one.image: one for one in work}
    types: dict[tuple[str, str], set[str]] = {}
    for edge in graph.edges:
        types.setdefault((edge.base, edge.to), set()).add(edge.type)
    external: dict[str, Node] = {}
    for one in graph.external:
        if one.previous:
            continue  # an arrow from an image to itself says nothing
        name = f"external:{one.reference}"
        title_ = parse_reference(one.reference).familiar
        external[name] = Node(
            name=name, state="external", title=title_, details=(one.reference, "not built here")
        )
        types.setdefault((name, one.image), set()).add(one.type)
    return Drawing(
        title=title,
        nodes=(
            *(external[name] for name in sorted(external)),
            *(_image(graph, name, known.get(name)) for name in graph.order),
        ),
        arrows=tuple(
            sorted(
                Arrow(start=start, end=end, types=tuple(sorted(found)))
                for (start, end), found in types.items()
            )
        ),
    )


def _image(graph: Graph, name: str, work: Work | None) -> Node:
    image = graph.images[name]
    where = image.spec.dockerfile
    if image.spec.target:
        where += f", target {image.spec.target}"
    details = [where, *(f"{key}={value}" for key, value in sorted(image.spec.args.items()))]
    details += [f"opaque: {why}" for why in image.recipe.opaque]
    if work is None:
        return Node(name=name, state="unknown", title=name, details=tuple(details))
    reasons = [explain(reason) for reason in work.reasons]
    told = [*reasons, *([work.digest] if work.digest else [])]
    return Node(name=name, state=work.action, title=name, details=(*told, *details))
