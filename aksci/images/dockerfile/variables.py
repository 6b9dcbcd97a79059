"""What variables are worth in a stage, line by line.

Dockerfile reference: "ENV", "ARG", "Scope", "Environment replacement". A stage that stands on
another one goes on with its variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.images.dockerfile.expand import UnresolvedError, expand
from aksci.images.dockerfile.parser import split_blanks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.dockerfile.parser import Instruction

__all__ = ["Scope", "arg_pairs", "quoted_words"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WORDS = {
    escape: re.compile(
        rf"""(?:{mark}.|"(?:{mark}.|[^"{mark}])*"?|'[^']*'?|[^\s"'{mark}])+""", re.DOTALL
    )
    for escape, mark in (("\\", r"\\"), ("`", "`"))
}


def quoted_words(text: str, escape: str) -> list[str]:
    """Split at blanks outside quotes; quotes and escapes stay."""
    if '"' not in text and "'" not in text and escape not in text:
        return text.split()
    return _WORDS[escape].findall(text)


def arg_pairs(one: Instruction, escape: str) -> list[tuple[str, str | None]]:
    """Return the names that an ARG declares, each with its default as it is written."""
    pairs: list[tuple[str, str | None]] = []
    for word in quoted_words(one.text, escape):
        name, equals, default = word.partition("=")
        pairs.append((name, default if equals else None))
    return pairs


class Scope:
    """The variables at one line of a stage.

    :param args: build arguments.
    :param defaults: the ARGs before the first FROM, and the platform's.
    """

    def __init__(
        self, *, args: Mapping[str, str], defaults: Mapping[str, str], escape: str
    ) -> None:
        self._args = args
        self._defaults = defaults
        self._escape = escape
        self.values: dict[str, str | None] = {}
        """None: it has a value that nobody knows."""
        self.complete = False
        """Whether a variable that is not in ``values`` has no value."""
        self.env: dict[str, str | None] = {}
        """What ENV has set here and in the stages below."""

    def enter(self, base: Scope | None, *, empty: bool) -> Scope:
        """Return the scope of a stage that stands on another one's end, or on an image.

        BuildKit 0.34 sets each ENV again where a stage begins, the image's too, over the ARGs of
        the stages below: their values are then known only if the image is ``scratch``.

        :param empty: the image is ``scratch``: what is not set has no value. Otherwise it may have
            been set in the image.
        """
        scope = Scope(args=self._args, defaults=self._defaults, escape=self._escape)
        if base is not None:
            scope.complete, scope.env = base.complete, dict(base.env)
            below = base.values if base.complete else dict.fromkeys(base.values)
            scope.values = {**below, **base.env}
        elif empty:
            scope.env, scope.complete = {"PATH": _PATH}, True
            scope.values = dict(scope.env)
        return scope

    def expand(self, word: str) -> str | None:
        """Expand a word; None: nobody knows what it means."""
        try:
            return expand(word, self.values, escape=self._escape, complete=self.complete)
        except (UnresolvedError, RecursionError):
            return None

    def apply(self, one: Instruction) -> None:
        """Go on to the line after an instruction."""
        if one.keyword == "ARG":
            for name, default in arg_pairs(one, self._escape):
                if name in self._args:
                    self.values[name] = self._args[name]
                elif default is not None:
                    self.values[name] = self.expand(default)
                elif name in self._defaults:
                    self.values[name] = self._defaults[name]
        elif one.keyword == "ENV":
            found = self._variables(one)
            self.env.update(found)
            self.values.update(found)

    def _variables(self, one: Instruction) -> dict[str, str | None]:
        """Read ``ENV a=b c=d`` or ``ENV a b``; each value sees the variables before the line."""
        words = quoted_words(one.text, self._escape)
        if words and "=" not in words[0]:
            name, *rest = split_blanks(one.text)
            value = one.text[len(name) :].strip() if rest else ""
            return {name: self.expand(value)}
        found: dict[str, str | None] = {}
        for word in words:
            key, _, value = word.partition("=")
            known = self.expand(key)
            if known is None:
                self.complete = False  # any variable may have been set
                self.values = dict.fromkeys(self.values)
                self.env = dict.fromkeys(self.env)
            else:
                found[known] = self.expand(value)
        return found
