"""The graph as one page of HTML that needs nothing else: zoom, search, state and reasons."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_html
from aksci.report.graph_layout import place_nodes

if TYPE_CHECKING:
    from aksci.report.graph_drawing import Drawing

__all__ = ["draw_page"]


def draw_page(drawing: Drawing) -> str:
    """Return the page. All names reach it as data, never as markup or as a script."""
    template = files("aksci.report").joinpath("graph.html").read_text(encoding="utf-8")
    data = json.dumps(_document(drawing), separators=(",", ":"))
    for char in "<>&\u2028\u2029":  # so that no name ends the script element that holds the data
        data = data.replace(char, f"\\u{ord(char):04x}")
    data = data.replace("##", "#\\u0023")  # nor is a command to a CI system, on stdout
    return template.replace("{{title}}", escape_html(drawing.title)).replace("{{data}}", data)


def _document(drawing: Drawing) -> dict[str, Any]:
    places = place_nodes(drawing)
    return {
        "nodes": [
            {
                "name": node.name,
                "title": node.title,
                "state": node.state,
                "details": list(node.details),
                "layer": places[node.name][0],
                "place": round(places[node.name][1], 2),
            }
            for node in drawing.nodes
        ],
        "arrows": [
            {"start": arrow.start, "end": arrow.end, "types": list(arrow.types)}
            for arrow in drawing.arrows
        ],
    }
