"""What another tool's file says that is not taken over, or is read in another way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ImportNote", "note_document", "note_lines"]

_FEW = 3
"""Places named in a line; ``graph --format json`` has them all."""


@dataclass(frozen=True, kw_only=True)
class ImportNote:
    """One thing at one place."""

    file: str
    place: str
    """The key in the file: ``target.web``."""
    text: str

    @classmethod
    def at(cls, where: str, text: str) -> ImportNote:
        """Make a note for a place as messages have it: ``docker-bake.hcl: target.web``."""
        file, _, place = where.partition(": ")
        return cls(file=file, place=place, text=text)


def note_lines(notes: Iterable[ImportNote]) -> list[str]:
    """Return a line for what a file has at one place or at many: 76 targets are no 76 lines."""
    places: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.file, note.text), []).append(note.place)
    return [
        ": ".join(filter(None, (file, _few(found), text))) for (file, text), found in places.items()
    ]


def note_document(notes: Iterable[ImportNote]) -> list[dict[str, Any]]:
    """Return every note, as ``graph --format json`` has it."""
    return [asdict(note) for note in notes]


def _few(places: list[str]) -> str:
    named = list(dict.fromkeys(places))
    more = f" and {len(named) - _FEW} more" if len(named) > _FEW else ""
    return ", ".join(named[:_FEW]) + more
