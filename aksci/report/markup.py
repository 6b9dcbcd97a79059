"""What reports write alike: tables in Markdown, and pages of HTML that need nothing else."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, sanitise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "LONGEST",
    "Markup",
    "fill_page",
    "joined",
    "markdown_row",
    "markdown_table",
    "page_data",
]

LONGEST = 1000
"""Characters of a line or a cell: the names in it can be those of long paths."""


class Markup(str):
    """Markdown of ours, which is written as it is; all other text is escaped."""

    __slots__ = ()


def joined(texts: Iterable[str], separator: str) -> Markup:
    """Return others' texts in one cell, with our own markup between them."""
    return Markup(separator.join(map(escape_markdown, texts)))


def markdown_table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a table's lines, and the empty line before it.

    :param columns: our own words.
    :param rows: cells; a ``Markup`` is written as it is.
    """
    head = (f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|")
    return ["", *head, *map(markdown_row, rows)]


def markdown_row(cells: Iterable[str], longest: int = LONGEST) -> str:
    """Return a row of a table.

    :param longest: characters of a cell.
    """
    shown = (cell if isinstance(cell, Markup) else escape_markdown(cell, longest) for cell in cells)
    return f"| {' | '.join(shown)} |"


def fill_page(name: str, **parts: str) -> str:
    """Return a page of this folder with its parts, which are HTML, or JSON by ``page_data``."""
    page = files("aksci.report").joinpath(name).read_text(encoding="utf-8")
    # In one pass: a part that holds the mark of another one is not filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def page_data(document: Any) -> str:
    """Return JSON for a script element: no text in it ends the element, or is a CI's command.

    Nor does one hold what a reader can't see: the page shows it as it is.
    """
    data = json.dumps(_cleaned(document), separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        data = data.replace(char, f"\\u{ord(char):04x}")
    # Azure Pipelines obeys ``##vso[…]`` in any line that it is shown.
    return data.replace("##", "#\\u0023")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return sanitise(value)
    if isinstance(value, dict):
        return {key: _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value
