"""The graph as one page of HTML that needs nothing else: zoom, search, state and reasons.

Nodes stand in layers from left to right, with few crossings. Source: Sugiyama, Tagawa, Toda,
"Methods for Visual Understanding of Hierarchical System Structures", 1981: layers by the longest
path, then sweeps that move each node to the mean place of its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_html
from aksci.report.graph_drawing import FRONTEND
from aksci.report.graph_text import summary
from aksci.report.markup import fill_page, page_data
from aksci.report.shared_causes import share_causes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.report.graph_drawing import Drawing

__all__ = ["draw_page", "place_nodes"]

_SWEEPS = 8
_GAP = 1.5
"""Of a node's height: the most that lies empty across the whole picture."""


def draw_page(drawing: Drawing) -> str:
    """Return the page. All names reach it as data, never as markup or as a script."""
    title, data = escape_html(drawing.title), page_data(_document(drawing))
    return fill_page("graph.html", title=title, data=data)


def _document(drawing: Drawing) -> dict[str, Any]:
    places = place_nodes(drawing)
    causes = share_causes({node.name: node.reasons for node in drawing.nodes})
    return {
        "summary": summary(drawing),
        "causes": [
            {"text": text, "count": len(one.images)} for one in causes.shared for text in one.texts
        ],
        "nodes": [
            {
                "name": node.name,
                "title": node.title,
                "state": node.state,
                "details": list(node.details),
                "opaque": bool(node.opaque),
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


def place_nodes(drawing: Drawing) -> dict[str, tuple[int, float]]:
    """Return name -> (layer, place in it). Layer 0 needs nothing; places are 1 or more apart."""
    layers: dict[str, int] = {}
    for node in drawing.nodes:  # parents before children
        needed = drawing.parents[node.name]
        layers[node.name] = 1 + max((layers[name] for name in needed), default=-1)
    columns: dict[int, list[str]] = {}
    for name, layer in layers.items():
        columns.setdefault(layer, []).append(name)
    neighbours: dict[str, list[str]] = {name: [] for name in layers}
    for arrow in drawing.arrows:
        if arrow.types != FRONTEND:  # nearly everybody's: it would draw all to one place
            neighbours[arrow.start].append(arrow.end)
            neighbours[arrow.end].append(arrow.start)
    places = {name: float(at) for names in columns.values() for at, name in enumerate(names)}
    order = sorted(columns)
    for sweep in range(_SWEEPS):
        # To and fro: a node follows its parents in one sweep, and its children in the next.
        for layer in order if sweep % 2 == 0 else reversed(order):
            _settle(columns[layer], neighbours, places)
    _close_gaps(places)
    return {name: (layers[name], places[name]) for name in layers}


def _close_gaps(places: dict[str, float]) -> None:
    """Take out the rows where nothing stands: parts that nothing connects drift apart."""
    above, taken = float("-inf"), 0.0
    for name in sorted(places, key=lambda name: places[name]):
        if above > float("-inf"):
            taken += max(0.0, places[name] - above - _GAP)
        above = places[name]
        places[name] -= taken


def _settle(
    names: list[str], neighbours: Mapping[str, list[str]], places: dict[str, float]
) -> None:
    """Order a column by the mean place of each node's neighbours, and keep its nodes apart."""

    def mean(name: str) -> float:
        around = neighbours[name]
        return sum(places[each] for each in around) / len(around) if around else places[name]

    ideal = {name: mean(name) for name in names}
    names.sort(key=lambda name: (ideal[name], name))
    free = float("-inf")
    for name in names:
        places[name] = max(ideal[name], free)
        free = places[name] + 1
    # Pushing only downwards would let the picture drift: move the column back to its middle.
    drift = sum(places[name] - ideal[name] for name in names) / len(names)
    for name in names:
        places[name] -= drift
