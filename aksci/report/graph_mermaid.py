"""The graph in Mermaid ("Flowcharts: Basic Syntax"), drawn by GitHub and Azure DevOps.

Azure DevOps knows the keyword ``graph`` in every version, so that is what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import one_line

if TYPE_CHECKING:
    from aksci.report.graph_drawing import Drawing, Node

__all__ = ["draw_mermaid"]

_CLASSES = (
    "classDef build fill:#ffd9a0,stroke:#b36b00,color:#000",
    "classDef reuse fill:#cfe8cf,stroke:#3c763d,color:#000",
    "classDef unknown fill:#fff,stroke:#555,color:#000",
    "classDef external fill:#eee,stroke:#888,color:#000,stroke-dasharray:4",
)


def draw_mermaid(drawing: Drawing) -> str:
    """Return a flow chart, bases on the left; names are labels, so that they can hold anything."""
    ids = {node.name: f"n{index}" for index, node in enumerate(drawing.nodes)}
    lines = ["graph LR"]
    lines += [f"  {ids[node.name]}{_label(node)}:::{node.state}" for node in drawing.nodes]
    for arrow in drawing.arrows:
        how = ", ".join(arrow.types)
        label = "" if how == "runtime" else f'|"{_escape(how)}"|'
        lines.append(f"  {ids[arrow.start]} -->{label} {ids[arrow.end]}")
    lines += [f"  {text}" for text in _CLASSES]
    return "\n".join(lines)


def _label(node: Node) -> str:
    return f'["{_escape(node.title)}"]'


def _escape(text: str) -> str:
    """Write what Mermaid or HTML would read as their own as character codes."""
    return "".join(
        char if char.isalnum() or char in " ./:@_-," else f"#{ord(char)};"
        for char in one_line(text)
    )
