"""What a section of a report holds, before a format draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.report.cascade_wording import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Entry", "Section", "make_table"]

_NAME = 1
"""The column of the names."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Lines, a table, or both. Texts are as they came: whoever draws them makes them harmless."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0
    """Things that are neither in a line nor in a row."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing of a table, which may share its row with others where there are too many."""

    name: str
    own: str = ""
    """What no other has, such as a digest; left out of a row that several share."""
    shared: tuple[str, ...]
    """What others may have as well: the first column, and those after ``own``."""
    count: int = 1
    """Things that it stands for."""


def make_table(
    title: str,
    columns: tuple[str, ...],
    entries: Sequence[Entry],
    limit: int,
    lines: tuple[str, ...] = (),
) -> Section:
    """Return a section with a row an entry or, beyond the limit, one for all that are alike.

    Columns in which there is nothing are left out, that of the names aside.

    :param columns: the first of ``shared``, ``name``, ``own``, then the others of ``shared``.
    """
    rows, more = _rows(entries, limit)
    used = [at for at in range(len(columns)) if at == _NAME or any(row[at] for row in rows)]
    return Section(
        title=title,
        lines=lines,
        columns=tuple(columns[at] for at in used),
        rows=tuple(tuple(row[at] for at in used) for row in rows),
        more=more,
    )


def _rows(entries: Sequence[Entry], limit: int) -> tuple[list[tuple[str, ...]], int]:
    def row(name: str, own: str, shared: tuple[str, ...]) -> tuple[str, ...]:
        return (shared[0], name, own, *shared[1:])

    if len(entries) <= limit:
        return [row(one.name, one.own, one.shared) for one in entries], 0
    alike: dict[tuple[str, ...], list[Entry]] = {}
    for one in entries:
        alike.setdefault(one.shared, []).append(one)
    groups = list(alike.items())
    shown = [row(listed([one.name for one in group]), "", cells) for cells, group in groups[:limit]]
    return shown, sum(one.count for _, group in groups[limit:] for one in group)
