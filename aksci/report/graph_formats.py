"""The formats of ``graph``: of the graph alone, and of a drawing that says what is to be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import safe_json
from aksci.images.graph import graph_document
from aksci.images.same_builds import same_build_lines
from aksci.report.graph_drawing import draw_dot, draw_mermaid, drawing_of
from aksci.report.graph_page import draw_page
from aksci.report.graph_text import draw_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.images.graph import Graph
    from aksci.report.graph_drawing import Drawing

__all__ = ["DRAWING_FORMATS", "GRAPH_FORMATS"]

DRAWING_FORMATS: dict[str, Callable[[Drawing], str]] = {
    "text": draw_tree,
    "dot": draw_dot,
    "mermaid": draw_mermaid,
    "html": draw_page,
}
GRAPH_FORMATS: dict[str, Callable[[Graph], str]] = {
    "text": lambda graph: draw_tree(drawing_of(graph), same_builds=same_build_lines(graph)),
    "dot": lambda graph: draw_dot(drawing_of(graph)),
    "mermaid": lambda graph: draw_mermaid(drawing_of(graph)),
    "html": lambda graph: draw_page(drawing_of(graph)),
    "json": lambda graph: safe_json(graph_document(graph)),
}
