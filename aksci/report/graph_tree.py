"""The graph as a tree of text, from what comes from outside to what stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.report.graph_drawing import Arrow, Drawing, Node

__all__ = ["draw_tree"]

_SHORT = len("sha256:") + 12
_STATES = {
    "build": "  to build",
    "reuse": "  up to date",
    "unknown": "",
    "external": "  (external)",
}


def draw_tree(drawing: Drawing) -> str:
    """Return the tree. An image that needs several others is drawn in full below the first of them.

    Below the others, it is named with an arrow: ``↑`` means that it was drawn above.
    """
    roots = [node.name for node in drawing.nodes if not drawing.parents[node.name]]
    drawn: set[str] = set()
    return "\n".join(line for root in roots for line in _branch(drawing, root, drawn))


def _branch(drawing: Drawing, root: str, drawn: set[str]) -> Iterator[str]:
    """Yield a root's lines. It keeps its own stack: a chain of images may be long."""
    yield _label(drawing.by_name[root])
    drawn.add(root)
    stack = [("", iter(_with_last(drawing.children[root])))]
    while stack:
        prefix, children = stack[-1]
        following = next(children, None)
        if following is None:
            stack.pop()
            continue
        arrow, last = following
        how = ", ".join(arrow.types)
        how = "" if how == "runtime" else f"  [{how}]"
        above = arrow.end in drawn
        mark = "  ↑" if above else ""
        line = f"{prefix}{'└── ' if last else '├── '}"
        yield f"{line}{_label(drawing.by_name[arrow.end], short=above)}{how}{mark}"
        if not above:
            drawn.add(arrow.end)
            deeper = prefix + ("    " if last else "│   ")
            stack.append((deeper, iter(_with_last(drawing.children[arrow.end]))))


def _with_last(items: list[Arrow]) -> list[tuple[Arrow, bool]]:
    return [(item, index == len(items) - 1) for index, item in enumerate(items)]


def _label(node: Node, *, short: bool = False) -> str:
    if short or node.state == "unknown":
        return node.title
    why = node.details[0] if node.details and node.state != "external" else ""
    if node.state == "reuse":
        why = why[:_SHORT]
    return f"{node.title}{_STATES[node.state]}{why and f': {why}'}"
