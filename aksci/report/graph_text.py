"""The graph as text: a tree of what is built here, then what comes from outside, and a summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.report.graph_drawing import FRONTEND
from aksci.report.hanging_lines import hang

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aksci.report.graph_drawing import Arrow, Drawing, Node

__all__ = ["draw_tree", "summary"]

_SHORT = len("sha256:") + 12
_STATES = {
    "build": "  to build",
    "reuse": "  up to date",
    "unknown": "",
    "external": "  (external)",
}
_NEAR = ("runtime", "context", "requires", "stage", "copy", "mount", "syntax")
"""Below which of its parents an image is drawn: the one that it is most made of."""
_LINE = re.compile(r"^line \d+: ")
"""Each of several Dockerfiles has it in another line."""
_FEW = 5
"""Images named for a frontend, which is most often everybody's."""


def draw_tree(drawing: Drawing, *, same_builds: Iterable[str] = ()) -> str:
    """Return the tree, and what is said best of all images together.

    An image is drawn below one of its parents, of this project if it has one there. Below its
    others of this project, it is named with an arrow: ``↑`` and ``↓`` say where it is drawn. What
    comes from outside and has no image below it follows in a list; frontends come last.

    :param same_builds: a line for each build that several images share.
    """
    order = {node.name: at for at, node in enumerate(drawing.nodes)}
    homes = {name: _home(drawing, name, order) for name in order}
    used = set(homes.values())
    roots = [
        node.name
        for node in drawing.nodes
        if homes[node.name] is None and (node.state != "external" or node.name in used)
    ]
    drawn: set[str] = set()
    lines = [line for root in roots for line in _branch(drawing, root, homes, drawn)]
    outside = [one for one in drawing.nodes if one.state == "external" and one.name not in used]
    return "\n".join(
        [
            *lines,
            *_titled("also from outside:", _outside(drawing, outside)),
            *_titled("frontends:", _frontends(drawing)),
            *_titled("opaque, so every build makes them again:", _opaque(drawing)),
            *same_builds,
            summary(drawing),
        ]
    )


def _home(drawing: Drawing, name: str, order: Mapping[str, int]) -> str | None:
    """Return the parent that a node is drawn below; None: it is a root."""
    arrows = [one for one in drawing.arrows_to[name] if one.types != FRONTEND]

    def nearness(arrow: Arrow) -> tuple[bool, int, int]:
        outside = drawing.by_name[arrow.start].state == "external"
        kind = min(_NEAR.index(one) for one in arrow.types)
        # Of several of this project, the one that is itself based on most.
        return outside, kind, order[arrow.start] * (1 if outside else -1)

    return min(arrows, key=nearness).start if arrows else None


def _branch(
    drawing: Drawing, root: str, homes: Mapping[str, str | None], drawn: set[str]
) -> Iterator[str]:
    """Yield a root's lines. It keeps its own stack: a chain of images may be long."""
    yield _tree_label(drawing.by_name[root])
    drawn.add(root)
    stack = [("", iter(_below(drawing, root)))]
    while stack:
        prefix, children = stack[-1]
        following = next(children, None)
        if following is None:
            stack.pop()
            continue
        arrow, last = following
        name = arrow.end
        elsewhere = homes[name] != arrow.start
        mark = ("  ↑" if name in drawn else "  ↓") if elsewhere else ""
        line = f"{prefix}{'└── ' if last else '├── '}"
        label = _tree_label(drawing.by_name[name], short=elsewhere)
        yield f"{line}{label}{_how(arrow.types)}{mark}"
        if not elsewhere:
            drawn.add(name)
            deeper = prefix + ("    " if last else "│   ")
            stack.append((deeper, iter(_below(drawing, name))))


def _below(drawing: Drawing, name: str) -> list[tuple[Arrow, bool]]:
    """Return the arrows that leave a node, each with whether it is the last."""
    arrows = [one for one in drawing.children[name] if one.types != FRONTEND]
    return [(one, at == len(arrows) - 1) for at, one in enumerate(arrows)]


def _how(types: tuple[str, ...]) -> str:
    how = ", ".join(types)
    return "" if how == "runtime" else f"  [{how}]"


def _tree_label(node: Node, *, short: bool = False) -> str:
    if short:
        return node.title
    opaque = "  (opaque)" if node.opaque else ""
    if node.state == "unknown":
        return f"{node.title}{opaque}"
    why = node.details[0] if node.details and node.state != "external" else ""
    if node.state == "reuse":
        why = why[:_SHORT]
    return f"{node.title}{opaque}{_STATES[node.state]}{why and f': {why}'}"


def _titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from (title, *found)


def _outside(drawing: Drawing, nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        by_types: dict[tuple[str, ...], list[str]] = {}
        for arrow in drawing.children[node.name]:
            if arrow.types != FRONTEND:
                by_types.setdefault(arrow.types, []).append(arrow.end)
        for types, names in by_types.items():
            yield from hang(f"  {node.title}{_how(types)}: ", ", ".join(names), indent=4)


def _frontends(drawing: Drawing) -> Iterator[str]:
    count = sum(one.state != "external" for one in drawing.nodes)
    for node in drawing.nodes:
        names = [one.end for one in drawing.children[node.name] if "syntax" in one.types]
        if names:
            named = ", ".join(names[:_FEW])
            named += f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
            told = f"all {count} images" if len(names) == count > _FEW else named
            yield from hang(f"  {node.title}: ", told, indent=4)


def _opaque(drawing: Drawing) -> Iterator[str]:
    """Yield each cause once, with the images that share it."""
    alike: dict[str, list[str]] = {}
    for node in drawing.nodes:
        for why in node.opaque:
            alike.setdefault(_LINE.sub("", why), []).append(node.title)
    for why, names in alike.items():
        yield from hang("  ", f"{why}: {', '.join(names)}", indent=4)


def summary(drawing: Drawing) -> str:
    """Return how much there is of everything, in one line."""
    own = {one.name: one for one in drawing.nodes if one.state != "external"}
    edges = sum(len(one.types) for one in drawing.arrows if one.start in own)
    kinds = {
        name: {kind for one in drawing.children[name] for kind in one.types}
        for name in drawing.by_name
        if name not in own
    }
    bases = sum(found != {"syntax"} for found in kinds.values())
    frontends = sum("syntax" in found for found in kinds.values())
    opaque = sum(bool(one.opaque) for one in own.values())
    told = [_counted(len(own), "image"), _counted(edges, "edge")]
    told.append(f"{_counted(bases, 'base')} from outside")
    told += [_counted(frontends, "frontend")] if frontends else []
    told += [f"{opaque} opaque"] if opaque else []
    return ", ".join(told)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
