"""Match wildcards in one pass over a text, however often a pattern repeats them.

Python's ``re`` goes back: of ``*a*a*a…b`` it tries every way to share a text among the stars, and
their number grows exponentially with them. Here, as in Go's ``regexp`` (which BuildKit uses), each
character is looked at once, and all places in all patterns at which one may be after it are one
number (Thompson, "Regular Expression Search Algorithm", 1968). Where a character leads from a set
of places is remembered, so that most characters cost one look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "ANY",
    "NOT_NEWLINE",
    "NOT_SLASH",
    "Chars",
    "Folders",
    "Many",
    "One",
    "Place",
    "Wildcards",
    "char_class",
]

_REMEMBERED = 1 << 21
"""Bytes, roughly, that may be remembered of one set of patterns; then all is forgotten."""
_ENTRY = 120
_DENSE = 64


@dataclass(frozen=True)
class Chars:
    """Some characters."""

    ranges: tuple[tuple[str, str], ...]
    """First and last of each."""
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        return any(first <= char <= last for first, last in self.ranges) is not self.negated


ANY = Chars((), negated=True)
NOT_SLASH = Chars((("/", "/"),), negated=True)
NOT_NEWLINE = Chars((("\n", "\n"),), negated=True)


@dataclass(frozen=True)
class One:
    """One character."""

    chars: Chars


@dataclass(frozen=True)
class Many:
    """Any number of characters, or none."""

    chars: Chars


@dataclass(frozen=True)
class Folders:
    """Nothing, or characters up to any slash."""

    chars: Chars


Item = str | One | Many | Folders
"""A text of one character is that character."""


def char_class(inner: str, *, negations: str) -> Chars:
    """Return what ``[inner]`` means: characters and ranges of them.

    A range whose end comes before its beginning holds nothing.

    :param negations: characters of which one at the beginning means all others.
    """
    negated = inner[:1] in negations if inner else False
    at = int(negated)
    ranges = []
    while at < len(inner):
        is_range = inner[at + 1 : at + 2] == "-" and at + 2 < len(inner)
        last = inner[at + 2] if is_range else inner[at]
        ranges.append((inner[at], last))
        at += 3 if is_range else 1
    return Chars(tuple(ranges), negated)


def _is_idempotent(item: Item) -> bool:
    """Tell whether an item means the same twice in a row as once."""
    # Folders without slashes are one folder: twice, they are two.
    return isinstance(item, Many) or (isinstance(item, Folders) and "/" in item.chars)


class Place(dict[str, "Place"]):
    """Where one may be in the patterns after some text; by character, where that leads."""

    __slots__ = ("_matching", "_within", "ended", "places")

    def __init__(self, within: Wildcards, places: int, *, ended: bool) -> None:
        super().__init__()
        self._within = within
        self.places = places
        """One bit for each place in the patterns."""
        self.ended = ended
        """Whether some pattern matches the whole text."""
        self._matching: tuple[int, ...] | None = None if ended else ()

    def __missing__(self, char: str) -> Place:
        return self._within.step(self, char)

    def after(self, text: str) -> Place:
        """Return the place after some more text."""
        place = self
        for char in text:
            place = place[char]
        return place

    @property
    def matching(self) -> tuple[int, ...]:
        """The numbers of the patterns that match the whole text, in order."""
        if self._matching is None:
            self._matching = self._within.numbers_at(self.places)
        return self._matching


class Wildcards:
    """Some patterns, each of one or several sequences of items, for whole texts.

    :param patterns: pattern by pattern, the sequences of which one must match.
    """

    def __init__(self, patterns: Iterable[Iterable[Sequence[Item]]]) -> None:
        self._literals: dict[str, list[int]] = {}
        self._classes: dict[Chars, list[int]] = {}
        self._loops: dict[Chars, list[int]] = {}
        self._numbers: dict[int, int] = {}
        skips: list[int] = []
        further: list[int] = []
        starts: list[int] = []
        at = 0
        for number, sequences in enumerate(patterns):
            for items in sequences:
                starts.append(at)
                before: Item | None = None
                for item in items:
                    if item == before and _is_idempotent(item):
                        continue
                    before = item
                    if isinstance(item, str):
                        self._literals.setdefault(item, []).append(at)
                    elif isinstance(item, One):
                        self._classes.setdefault(item.chars, []).append(at)
                    else:
                        skips.append(at)
                        if isinstance(item, Folders):
                            further.append(at)
                            at += 1
                            self._literals.setdefault("/", []).append(at)
                        self._loops.setdefault(item.chars, []).append(at)
                    at += 1
                self._numbers[at] = number
                at += 1
        self._size = at // 8 + 1
        self._skips, self._further = self._bits(skips), self._bits(further)
        self._ends = self._bits(self._numbers)
        self._dense: dict[tuple[Chars, bool], int] = {}
        self._masks: dict[str, tuple[int, int]] = {}
        self._known: dict[int, Place] = {}
        self._cost = 0
        self.start = self._place(self._skipped(self._bits(starts)))
        """The place before any text."""

    def step(self, place: Place, char: str) -> Place:
        """Find where a character leads, and remember it."""
        ones, loops = self._masks.get(char) or self._masks_of(char)
        places = place.places
        found = self._place(self._skipped((places & ones) << 1 | (places & loops)))
        self._cost += _ENTRY
        place[char] = found
        return found

    def numbers_at(self, places: int) -> tuple[int, ...]:
        """Return the numbers of the patterns that end at some places."""
        bits = bin(places & self._ends)[:1:-1]
        found: dict[int, None] = {}
        at = bits.find("1")
        while at >= 0:
            found[self._numbers[at]] = None
            at = bits.find("1", at + 1)
        self._cost += 8 * len(found)
        return tuple(found)

    def _place(self, places: int) -> Place:
        known = self._known.get(places)
        if known is None:
            if self._cost > _REMEMBERED:
                self._forget()
            known = Place(self, places, ended=bool(places & self._ends))
            self._known[places] = known
            self._cost += _ENTRY * 4 + self._size
        return known

    def _forget(self) -> None:
        for place in list(self._known.values()):
            place.clear()
        self._known.clear()
        self._masks.clear()
        self._cost = 0

    def _skipped(self, places: int) -> int:
        """Add the places that nothing has to be read for."""
        while True:
            more = places | (places & self._skips) << 1 | (places & self._further) << 2
            if more == places:
                return places
            places = more

    def _masks_of(self, char: str) -> tuple[int, int]:
        """Return the places that a character leads on from, and those that it may stay at."""
        ones = self._union(self._classes, char, self._literals.get(char, ()), loop=False)
        found = self._masks[char] = ones, self._union(self._loops, char, (), loop=True)
        self._cost += _ENTRY + 2 * self._size
        return found

    def _union(
        self, classes: dict[Chars, list[int]], char: str, own: Sequence[int], *, loop: bool
    ) -> int:
        few, many = list(own), 0
        for chars, places in classes.items():
            if char not in chars:
                continue
            if len(places) < _DENSE:
                few += places
            else:
                key = (chars, loop)
                if key not in self._dense:
                    self._dense[key] = self._bits(places)
                many |= self._dense[key]
        return many | self._bits(few) if few else many

    def _bits(self, places: Iterable[int]) -> int:
        found = bytearray(self._size)
        for place in places:
            found[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(found, "little")
