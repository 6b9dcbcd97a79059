"""The graph as a drawing, and the drawing in DOT and in Mermaid; ``graph_text`` has the tree.

Sources: "The DOT Language" of Graphviz, quoted identifiers; Mermaid's "Flowcharts: Basic Syntax".
GitHub and Azure DevOps draw Mermaid; Azure DevOps knows the keyword ``graph`` in every version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from aksci.core.text import one_line
from aksci.images.build_plan import shown_reference
from aksci.images.reason_wording import explain
from aksci.images.reasons import waits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.images.build_plan import Work
    from aksci.images.graph import Graph

__all__ = ["FRONTEND", "Arrow", "Drawing", "Node", "draw_dot", "draw_mermaid", "drawing_of"]

State = Literal["build", "reuse", "unknown", "external"]
FRONTEND = ("syntax",)
"""The types of an arrow that leads from what reads a Dockerfile, and from nothing else."""
_DOT_STYLES = {
    "build": 'style="filled" fillcolor="#ffd9a0"',
    "reuse": 'style="filled" fillcolor="#cfe8cf"',
    "unknown": 'style="filled" fillcolor="#ffffff"',
    "external": 'style="dashed"',
}
_MERMAID_CLASSES = (
    "classDef build fill:#ffd9a0,stroke:#b36b00,color:#000",
    "classDef reuse fill:#cfe8cf,stroke:#3c763d,color:#000",
    "classDef unknown fill:#fff,stroke:#555,color:#000",
    "classDef external fill:#eee,stroke:#888,color:#000,stroke-dasharray:4",
)


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
    reasons: tuple[str, ...] = ()
    """Of the details, its own reasons: not that another image is built first."""
    opaque: tuple[str, ...] = ()
    """Why every build makes it again; empty: only what has changed does."""


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
    def arrows_to(self) -> dict[str, list[Arrow]]:
        """Name -> the arrows that lead to it."""
        found: dict[str, list[Arrow]] = {node.name: [] for node in self.nodes}
        for arrow in self.arrows:
            found[arrow.end].append(arrow)
        return found

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """Name -> the nodes that it needs."""
        return {name: [arrow.start for arrow in its] for name, its in self.arrows_to.items()}


def drawing_of(graph: Graph, work: Iterable[Work] = ()) -> Drawing:
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
        # No name of an image has a colon, so the two never meet.
        name = f"external:{one.reference}"
        external[name] = Node(
            name=name,
            state="external",
            title=shown_reference(one.reference),
            details=(one.reference, "not built here"),
        )
        types.setdefault((name, one.image), set()).add(one.type)
    return Drawing(
        title=graph.project,
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
    opaque = image.recipe.opaque
    details += [f"opaque: {why}" for why in opaque]
    if work is None:
        return Node(name=name, state="unknown", title=name, details=tuple(details), opaque=opaque)
    told = [*map(explain, work.reasons), *([work.digest] if work.digest else [])]
    return Node(
        name=name,
        state=work.action,
        title=name,
        details=(*told, *details),
        reasons=tuple(explain(reason) for reason in work.reasons if not waits(reason)),
        opaque=opaque,
    )


def draw_dot(drawing: Drawing) -> str:
    """Return a digraph, bases on the left; the type of an edge other than runtime is its label."""
    lines = [
        f"digraph {_quote(drawing.title)} {{",
        "  rankdir=LR;",
        '  node [shape=box fontname="sans-serif"];',
        *(f"  {_dot_node(node)}" for node in drawing.nodes),
    ]
    for arrow in drawing.arrows:
        how = ", ".join(arrow.types)
        label = "" if how == "runtime" else f" [label={_quote(how)}]"
        lines.append(f"  {_quote(arrow.start)} -> {_quote(arrow.end)}{label};")
    return "\n".join([*lines, "}"])


def _dot_node(node: Node) -> str:
    tip, style = _quote("\n".join(node.details)), _DOT_STYLES[node.state]
    return f"{_quote(node.name)} [label={_quote(node.title)} tooltip={tip} {style}];"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def draw_mermaid(drawing: Drawing) -> str:
    """Return a flow chart, bases on the left; names are labels, so that they can hold anything."""
    ids = {node.name: f"n{index}" for index, node in enumerate(drawing.nodes)}
    lines = ["graph LR"]
    lines += [f"  {ids[node.name]}{_mermaid_label(node)}:::{node.state}" for node in drawing.nodes]
    for arrow in drawing.arrows:
        how = ", ".join(arrow.types)
        label = "" if how == "runtime" else f'|"{_mermaid_text(how)}"|'
        lines.append(f"  {ids[arrow.start]} -->{label} {ids[arrow.end]}")
    lines += [f"  {text}" for text in _MERMAID_CLASSES]
    return "\n".join(lines)


def _mermaid_label(node: Node) -> str:
    return f'["{_mermaid_text(node.title)}"]'


def _mermaid_text(text: str) -> str:
    """Write what Mermaid or HTML would read as their own as character codes."""
    return "".join(
        char if char.isalnum() or char in " ./:@_-," else f"#{ord(char)};"
        for char in one_line(text)
    )
