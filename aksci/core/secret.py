"""A value that must not be printed, and what hides all values of a run that must not be."""

from __future__ import annotations

import base64
import json
import textwrap
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from aksci.core.text import escape_markdown, sanitise

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SHORTEST", "Concealer", "Secret", "spellings"]

SHORTEST = 8
"""Characters. Shorter values and lines (braces, "yes") stand in texts that have nothing to do with
them."""
_BASE64_LINE = 76  # characters: RFC 2045, and base64 of GNU coreutils
_URL_SAFE = str.maketrans("+/", "-_")


class Secret:
    """Hold a value that prints as ``***``; ``reveal`` is the only way to it.

    It travels to programs by environment or stdin, never by argv.
    """

    # No __dict__: vars() and a debugger's dump of attributes show nothing.
    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        # A pickle, or a copy for another process, would hold the value in the clear.
        msg = "a Secret cannot be pickled"
        raise TypeError(msg)


class Concealer:
    """Hide secrets in text, however programs spell them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._spelt: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __contains__(self, value: object) -> bool:
        return value in self._values

    def learn(self, value: str) -> None:
        """Hide a value from now on; an empty one is none."""
        if value in self._values or not value:
            return
        with self._lock:
            self._values |= {value}
            spelt = {*self._spelt, *spellings(value)}
            # The longest first: a secret inside another one would leave the other's rest readable.
            # In one assignment: another thread may be going through the old ones.
            self._spelt = tuple(sorted(spelt, key=len, reverse=True))

    def learn_shown(self, value: str) -> None:
        """Hide a value also as reporters write it: made harmless, and in Markdown."""
        for spelling in (value, sanitise(value), escape_markdown(value)):
            self.learn(spelling)

    def hide(self, text: str) -> str:
        """Replace every secret by ``***``."""
        for spelling in self._spelt:
            text = text.replace(spelling, "***")
        return text


def spellings(value: str) -> Iterator[str]:
    """Yield a value, each line of one that has several, and how programs encode it."""
    yield value
    # Output comes line by line, so a key of several lines never passes in one piece.
    yield from (line for line in value.splitlines() if len(line) >= SHORTEST)
    if len(value) < SHORTEST:
        return
    yield from _in_base64(value.strip())
    # In addresses (RFC 3986), in forms, in JSON, among the words of a shell, and in our messages.
    yield from {quote(value, safe=""), quote(value), quote_plus(value)}
    plain = repr(value)[1:-1]
    yield from {json.dumps(value)[1:-1], value.replace("'", "'\"'\"'")}
    yield from {plain, plain.replace("\\'", "'").replace("'", "\\'")}


def _in_base64(text: str) -> Iterator[str]:
    """Yield what is common to all base64 (RFC 4648) of a text, whatever stands around it.

    Programs print ``base64 file``, and ``Authorization: Basic`` with the name before the value.
    Three bytes are four characters, so there are three ways in which a text may begin.
    """
    data = text.encode("utf-8", "surrogateescape")
    if len(text) < SHORTEST:
        return
    for before, unsure in enumerate((0, 2, 3)):
        encoded = base64.b64encode(bytes(before) + data).decode()
        form = encoded[unsure : (before + len(data)) * 8 // 6]
        for kind in (form, form.translate(_URL_SAFE)):
            yield kind
            yield from textwrap.wrap(kind, _BASE64_LINE) if not before else ()
