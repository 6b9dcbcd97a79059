"""The graph in DOT, the language of Graphviz ("The DOT Language", quoted identifiers)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.report.graph_drawing import Drawing, Node

__all__ = ["draw_dot"]

_STYLES = {
    "build": 'style="filled" fillcolor="#ffd9a0"',
    "reuse": 'style="filled" fillcolor="#cfe8cf"',
    "unknown": 'style="filled" fillcolor="#ffffff"',
    "external": 'style="dashed"',
}


def draw_dot(drawing: Drawing) -> str:
    """Return a digraph, bases on the left; the type of an edge other than runtime is its label."""
    lines = [
        f"digraph {_quote(drawing.title)} {{",
        "  rankdir=LR;",
        '  node [shape=box fontname="sans-serif"];',
        *(f"  {_node(node)}" for node in drawing.nodes),
    ]
    for arrow in drawing.arrows:
        how = ", ".join(arrow.types)
        label = "" if how == "runtime" else f" [label={_quote(how)}]"
        lines.append(f"  {_quote(arrow.start)} -> {_quote(arrow.end)}{label};")
    return "\n".join([*lines, "}"])


def _node(node: Node) -> str:
    tip = _quote("\n".join(node.details))
    return f"{_quote(node.name)} [label={_quote(node.title)} tooltip={tip} {_STYLES[node.state]}];"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
