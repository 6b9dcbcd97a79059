"""Variables and quotes in Dockerfiles, read as BuildKit's shell-like lexer reads them.

Dockerfile reference, "Environment replacement" and "Parser directives: escape"; what it leaves
open (quotes inside modifiers, special parameters) is as BuildKit 0.34 was seen to do it.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from aksci.core.allowance import LONGEST_VALUE, Allowance
from aksci.images.dockerfile.shell_patterns import ShellPattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "SPACE",
    "TOTAL",
    "TooMuchError",
    "UnresolvedError",
    "expand",
    "shell_words",
    "variables_in",
]

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Unicode calls white space; Python's ``str.strip`` takes four control characters more."""
_SPACES = re.compile(f"[{SPACE}]+")
_NAME = re.compile(r"[0-9]+|[@*#?$!-]|[^\W\d]\w*")
_REFERENCE = re.compile(r"\$\{?([0-9]+|[^\W\d]\w*)")
_LESS_THAN = re.compile(r"<(?:<[\t\r ]*)?")
_PLAIN = re.compile(r"""[^'"$<\\`}/\s]+""")
_DEEPEST = 50
"""Levels of ``${…${…}…}``."""
TOTAL = 1 << 20
"""Characters that variables may fill in, in all instructions of one target together."""


class UnresolvedError(Exception):
    """A variable has no value where one is needed, or an expression can't be read."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name
        self.why = why


class TooMuchError(UnresolvedError):
    """What comes of a text is longer, or nested deeper, than anything that means something."""


def expand(
    text: str,
    values: Mapping[str, str | None],
    *,
    escape: str = "\\",
    complete: bool = False,
    allowance: Allowance | None = None,
) -> str:
    """Expand one word, quotes removed.

    :param values: a variable whose value is None has one that nobody knows.
    :param complete: a variable that is not in ``values`` is empty, as in BuildKit.
    :param allowance: what variables fill in, this word among others.
    :raises UnresolvedError: a variable's value is not known, or BuildKit refuses the expression.
    :raises TooMuchError: what comes of it is too long, or it is nested too deep.
    """
    # Nearly every word of a Dockerfile: no lexer for it.
    if "$" not in text and escape not in text and "'" not in text and '"' not in text:
        return text
    lexer = _Lexer(text, values, escape=escape, complete=complete, allowance=allowance)
    found = "".join(piece for piece, _ in lexer.pieces())
    # A text that is so long as it is written makes nothing longer.
    if len(found) > max(LONGEST_VALUE, len(text)):
        raise TooMuchError("", f"it gets longer than {LONGEST_VALUE} characters")
    return found


def shell_words(text: str, *, raw: bool) -> list[str]:
    """Split a line into words; variables stay as they are.

    :param raw: quotes and escapes stay, too.
    :raises UnresolvedError: a quote or a brace is not closed, or a modifier is not known.
    """
    lexer = _Lexer(text, {}, raw=raw, keep=True)
    words: list[str] = []
    word = ""
    for piece, literal in lexer.pieces():
        # A blank in quotes parts no words.
        if literal:
            word += piece
            continue
        first, *others = _SPACES.split(piece)
        word += first
        for other in others:
            words.append(word)
            word = other
    words.append(word)
    return [word for word in words if word]


def variables_in(text: str) -> set[str]:
    """Return the names after a dollar sign, those in the words of modifiers included."""
    return set(_REFERENCE.findall(text)) if "$" in text else set()


class _Lexer:
    """Read a text once, from left to right."""

    def __init__(
        self,
        text: str,
        values: Mapping[str, str | None],
        *,
        escape: str = "\\",
        complete: bool = False,
        raw: bool = False,
        keep: bool = False,
        allowance: Allowance | None = None,
    ) -> None:
        self._allowance = allowance or Allowance(TOTAL)
        self._depth = 0
        self._text = text
        self._at = 0
        self._values = values
        self._escape = escape
        self._complete = complete
        self._raw_quotes = raw
        self._raw_escapes = raw
        self._keep = keep
        """Leave variables as they stand."""

    def pieces(self, stop: str = "") -> Iterator[tuple[str, bool]]:
        """Yield what the text means, piece by piece, and whether a blank in it is literal.

        :param stop: the character that ends it; otherwise the end of the text does.
        """
        text = self._text
        while self._at < len(text):
            plain = _PLAIN.match(text, self._at)
            if plain is not None:
                self._at = plain.end()
                yield plain.group(), False
                continue
            char = text[self._at]
            if char == stop:
                self._at += 1
                return
            if char == "$":
                yield self._variable(), False
            elif char in "'\"":
                yield (self._single() if char == "'" else self._double()), True
            elif char == "<":
                yield self._less_than(), True
            elif char == self._escape:
                yield self._escaped(), True
            else:
                self._at += 1
                yield char, False
        if stop:
            raise UnresolvedError(text, f"{stop} is missing")

    def _escaped(self) -> str:
        escaped = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        return self._escape + escaped if self._raw_escapes else escaped

    def _less_than(self) -> str:
        """Read ``<``, or ``<<`` with the blanks after it: a here-document's word may follow."""
        match = _LESS_THAN.match(self._text, self._at)
        self._at += len(match.group()) if match else 1
        return match.group() if match else "<"

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise UnresolvedError(self._text, "a single quote is not closed")
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        return f"'{inside}'" if self._raw_quotes else inside

    def _double(self) -> str:
        text = self._text
        self._at += 1
        out: list[str] = []
        while self._at < len(text):
            char = text[self._at]
            if char == '"':
                self._at += 1
                inside = "".join(out)
                return f'"{inside}"' if self._raw_quotes else inside
            if char == "$":
                out.append(self._variable())
                continue
            if char == self._escape:
                following = text[self._at + 1 : self._at + 2]
                # Before anything else it stands for itself, as in a shell (POSIX, "Double-Quotes").
                if following and following in f'"${self._escape}':
                    out.append(char * self._raw_escapes + following)
                    self._at += 2
                    continue
            out.append(char)
            self._at += 1
        raise UnresolvedError(text, "a double quote is not closed")

    def _variable(self) -> str:
        text = self._text
        if not text.startswith("${", self._at):
            match = _NAME.match(text, self._at + 1)
            self._at = match.end() if match else self._at + 1
            return self._plain(match.group(), f"${match.group()}") if match else "$"
        match = _NAME.match(text, self._at + 2)
        name = match.group() if match else ""
        self._at += 2 + len(name)
        modifier = text[self._at : self._at + 1]
        self._at += 1
        if modifier == "}" and name:
            return self._plain(name, f"${{{name}}}")
        if modifier == ":" and name:
            modifier += text[self._at : self._at + 1]
            self._at += 1
        if modifier == "/":
            return self._replaced(name)
        if not name or modifier not in {":-", ":+", ":?", "-", "+", "?", "#", "%"}:
            raise UnresolvedError(name or text, f"the modifier {modifier!r} in ${{…}} is not known")
        return self._modified(name, modifier)

    def _plain(self, name: str, written: str) -> str:
        if self._keep:
            return written
        value = self._value(name)
        if value is None and not self._complete:
            raise UnresolvedError(name, "it has no value")
        self._take(len(value or ""))
        return value or ""

    def _value(self, name: str) -> str | None:
        """Return a value; None: it has none."""
        if name not in self._values:
            return None
        value = self._values[name]
        # Set, to what nobody knows: no modifier may take its default for it.
        if value is None:
            raise UnresolvedError(name, "nobody knows its value")
        return value

    def _take(self, count: int) -> None:
        if not self._allowance.take(count):
            raise TooMuchError("", f"variables fill in more than {TOTAL} characters")

    def _inside(self, stop: str, *, raw_escapes: bool) -> str:
        # An escape in a pattern is the pattern's: ``ShellPattern`` must find it.
        before = self._raw_escapes
        self._raw_escapes = raw_escapes
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TooMuchError("", f"${{…}} is nested more than {_DEEPEST} times")
        word = "".join(piece for piece, _ in self.pieces(stop))
        self._depth -= 1
        self._raw_escapes = before
        return word

    def _modified(self, name: str, modifier: str) -> str:
        word = self._inside("}", raw_escapes=modifier in "#%")
        if self._keep:
            return f"${{{name}{modifier}{word}}}"
        value = self._value(name)
        # The base image may have set it: whatever the modifier, nobody knows what comes of it.
        if value is None and not self._complete and not modifier.endswith("?"):
            raise UnresolvedError(name, "it has no value")
        if modifier in "#%":
            repeated = word.startswith(modifier)
            pattern = self._pattern(word[repeated:], value or "")
            if modifier == "#":
                return pattern.without_prefix(value or "", longest=repeated)
            return pattern.without_suffix(value or "", longest=repeated)
        present = value is not None and (bool(value) or ":" not in modifier)
        if modifier.endswith("+"):
            return word if present else ""
        if modifier.endswith("?") and not present:
            raise UnresolvedError(name, word or "it has no value")
        self._take(len(value or "") * present)
        return (value or "") if present else word

    def _replaced(self, name: str) -> str:
        everywhere = self._text.startswith("/", self._at)
        self._at += everywhere
        pattern = self._inside("/", raw_escapes=True)
        replacement = self._inside("}", raw_escapes=True)
        if self._keep:
            return f"${{{name}/{pattern}/{replacement}}}"
        value = self._plain(name, "")
        found = self._pattern(pattern, value).matches(value)
        spans = list(found if everywhere else islice(found, 1))
        self._take(len(replacement) * len(spans))
        ends = [0, *(end for _, end in spans)]
        starts = [*(start for start, _ in spans), len(value)]
        kept = [value[end:start] for end, start in zip(ends, starts, strict=True)]
        return replacement.join(kept)

    def _pattern(self, pattern: str, value: str) -> ShellPattern:
        try:
            found = ShellPattern(pattern)
        except ValueError as error:
            raise TooMuchError("", str(error)) from None
        self._take((len(pattern) + len(value)) * found.cost)
        return found
