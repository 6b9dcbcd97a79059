"""The images of a cascade as bars over time, in SVG inside a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.report.cascade_escape import element_text, one_line
from aksci.report.critical_path import critical_path, earliest_starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.cascade.cascade_report import ImageOutcome

__all__ = ["timeline_svg"]

_MOST = 40
"""Bars; beyond that, those of the critical path and the longest."""
_WIDTH, _ROW, _BAR = 1000, 22, 14
_LEFT, _RIGHT = 210, 70
"""Room for names, and for seconds after the last bar."""
_LEGEND = "Each image from when it could have begun, at the earliest; the critical path is marked."
_NAME = 28
"""Characters of a name."""


def timeline_svg(images: Sequence[ImageOutcome]) -> str:
    """Return a chart of the images that were made; nothing if none took any time.

    Each bar begins where the last of what the image needs ends: when it could have begun, had it
    not waited for its turn. So the chart is as wide as the critical path is long.

    :param images: parents before children.
    """
    names, seconds = critical_path(images)
    if not names:
        return ""
    starts = earliest_starts(images)
    shown = _chosen(images, frozenset(names))
    height = _ROW * len(shown) + 6
    bars = "\n".join(
        _bar(one, starts[one.image], seconds, _ROW * row, long=one.image in names)
        for row, one in enumerate(shown)
    )
    said = f"Critical path: {len(names)} of the images, {seconds:.1f} seconds"
    return "\n".join(
        [
            "<h2>Timeline</h2>",
            f'<p class="about">{_LEGEND}</p>',
            f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">',
            f'<line x1="{_LEFT}" y1="0" x2="{_LEFT}" y2="{height}"/>',
            bars,
            "</svg>",
        ]
    )


def _chosen(images: Sequence[ImageOutcome], path: frozenset[str]) -> list[ImageOutcome]:
    """Return the images that have a bar, in their order."""
    made = [one for one in images if one.action == "rebuilt"]
    ranked = sorted(made, key=lambda one: (one.image not in path, -one.spent.total))
    names = {one.image for one in ranked[:_MOST]}
    return [one for one in made if one.image in names]


def _bar(one: ImageOutcome, start: float, whole: float, top: int, *, long: bool) -> str:
    scale = (_WIDTH - _LEFT - _RIGHT) / whole
    left, width = _LEFT + start * scale, max(1.0, one.spent.total * scale)
    told = f"{one.image}: {one.action}, {one.spent.make:.1f} s and {one.spent.gate:.1f} s of gates"
    base = top + _BAR - 1
    name = element_text(one_line(one.image, _NAME))
    kind = "long" if long else "short"
    return (
        f'<g class="{kind}"><title>{element_text(told)}</title>'
        f'<text x="{_LEFT - 8}" y="{base}" text-anchor="end">{name}</text>'
        f'<rect x="{left:.1f}" y="{top + 2}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        f'<text class="soft" x="{left + width + 6:.1f}" y="{base}">{one.spent.total:.1f} s</text>'
        "</g>"
    )
