"""The image graph drawn: as a tree of text, as DOT, as Mermaid, and as one page of HTML."""

from __future__ import annotations

from aksci.images.drawing.dot import draw_dot
from aksci.images.drawing.mermaid import draw_mermaid
from aksci.images.drawing.model import Drawing, Node, drawing_of
from aksci.images.drawing.page import draw_page
from aksci.images.drawing.tree import draw_tree

__all__ = [
    "Drawing",
    "Node",
    "draw_dot",
    "draw_mermaid",
    "draw_page",
    "draw_tree",
    "drawing_of",
]
