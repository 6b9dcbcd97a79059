"""Variables as Compose fills them in, and the file .env.

Compose specification, "Interpolation"; Docker's documentation, "Syntax for environment files".
"""

from __future__ import annotations

import re
from collections import ChainMap, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aksci.core.allowance import LONGEST_VALUE, Allowance
from aksci.core.errors import ConfigError
from aksci.core.inside import read_file
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["TOTAL", "fill_in", "fill_in_all", "read_env_file"]

TOTAL = 8 << 20
"""Characters that variables may fill in, in all files of one project together."""
_DEEPEST = 50
"""Levels of ``${…${…}…}``."""
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(.*))?", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# From the first blank on: of a long line of blanks, each would be looked at from each before it.
_COMMENT = re.compile(r"(?<!\s)\s++#|^#")
# A dollar comes out doubled: variables are filled in afterwards, and make it one again.
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def fill_in(
    text: str,
    variables: Mapping[str, str],
    *,
    where: str,
    unset: Callable[[str], None] = lambda _name: None,
    allowance: Allowance | None = None,
) -> str:
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``:?``, ``:+`` (and without the colon).

    :param unset: told the name of each variable that has neither value nor default: it is empty.
    :param allowance: what variables fill in, here among others.
    :raises ConfigError: the text is wrong, a variable that must be set is not, or what comes of it
        is too long.
    """
    filler = _Filler(variables, where, unset, allowance or Allowance(TOTAL))
    found = filler.fill_in(text, 0)
    # A text that is so long as it is written makes nothing longer.
    if len(found) > max(LONGEST_VALUE, len(text)):
        raise ConfigError(
            f"{where}: with its variables, it is longer than {LONGEST_VALUE} characters."
        )
    return found


@dataclass(frozen=True)
class _Filler:
    """Fills one text in."""

    variables: Mapping[str, str] = field(repr=False)
    where: str
    unset: Callable[[str], None]
    allowance: Allowance

    def fill_in(self, text: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise ConfigError(f"{self.where}: ${{…}} is nested more than {_DEEPEST} times.")
        out = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            out.append(text[at:dollar])
            following = text[dollar + 1 : dollar + 2]
            if following == "$":
                out.append("$")
                at = dollar + 2
            elif following == "{":
                end = _closing(text, dollar + 2)
                if end < 0:
                    raise ConfigError(f"{self.where}: a ${{ has no end.")
                inner = text[dollar + 2 : end]
                out.append(self._braced(inner, depth))
                at = end + 1
            elif match := _WORD.match(text, dollar + 1):
                out.append(self._plain(match.group()))
                at = match.end()
            else:
                raise ConfigError(f"{self.where}: a $ without a name; write $$ for a dollar.")
        return "".join([*out, text[at:]])

    def _plain(self, name: str) -> str:
        if name not in self.variables:
            self.unset(name)
        return self._taken(self.variables.get(name, ""))

    def _taken(self, value: str) -> str:
        if not self.allowance.take(len(value)):
            raise ConfigError(f"{self.where}: variables fill in more than {TOTAL} characters.")
        return value

    def _braced(self, inner: str, depth: int) -> str:
        match = _WORD.match(inner)
        if match is None:
            raise ConfigError(f"{self.where}: a ${{}} names no variable.")
        name, rest = match.group(), inner[match.end() :]
        if not rest:
            return self._plain(name)
        colon = rest.startswith(":")
        operator, operand = rest[colon : colon + 1], rest[colon + 1 :]
        value = self.variables.get(name)
        there = bool(value) if colon else value is not None
        if operator == "-":
            return self._taken(value or "") if there else self.fill_in(operand, depth + 1)
        if operator == "+":
            return self.fill_in(operand, depth + 1) if there else ""
        if operator == "?":
            if there:
                return self._taken(value or "")
            why = short_line(self.fill_in(operand, depth + 1))
            raise ConfigError(
                f"{self.where}: the variable {name} must be set" + (f": {why}." if why else "."),
                hint=f"export {name}=…, or write it into the .env file.",
            )
        raise ConfigError(f"{self.where}: ${{{name}}} is no way to fill in a variable.")


def fill_in_all(
    value: Any,
    variables: Mapping[str, str],
    *,
    where: str,
    unset: Callable[[str], None] = lambda _name: None,
    allowance: Allowance | None = None,
) -> Any:
    """Fill in all text in a value of YAML; keys stay as they are."""
    allowance = allowance or Allowance(TOTAL)

    def filled(one: Any, place: str = where) -> Any:
        return fill_in_all(one, variables, where=place, unset=unset, allowance=allowance)

    if isinstance(value, str):
        if "$" not in value:
            return value
        return fill_in(value, variables, where=where, unset=unset, allowance=allowance)
    if isinstance(value, dict):
        return {key: filled(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one) for one in value]
    if hasattr(value, "value"):  # !override; in another object: what was read may be used again
        return type(value)(filled(value.value))
    return value


def read_env_file(
    path: Path, variables: Mapping[str, str], shown: str, allowance: Allowance | None = None
) -> dict[str, str]:
    """Read a file of ``NAME=value`` lines.

    Values in single quotes are taken as they are; in the others, variables are filled in: those
    handed in, then those of the lines above.

    Messages show no line: such a file may hold passwords.

    :param path: links followed, so that it surely is in the project.
    :param shown: what messages call the file.
    :param allowance: what variables fill in, here among others.
    :raises ConfigError: it can't be read, or a line is wrong.
    """
    try:
        content = read_file(path, shown=shown).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{shown} does not exist.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} can't be read: it is not UTF-8.") from None
    found: dict[str, str] = {}
    # Not copied: VisibleVariables reports each request for a secret. It is only read.
    known = ChainMap(cast("dict[str, str]", variables), found)
    allowance = allowance or Allowance(TOTAL)
    lines = deque(content.replace("\r\n", "\n").split("\n"))
    total = len(lines)
    while lines:
        number = total - len(lines) + 1
        line = lines.popleft().strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{shown}: line {number} is not NAME=value.")
        name, value = match.groups()
        if value is None:  # the name alone: as the environment has it
            continue
        quote = value[:1] if value[:1] in {"'", '"'} else ""
        end = -1
        if quote:
            end, at = _end_of_quote(value, quote, 1)
            while end < 0 and lines:
                value += "\n" + lines.popleft()
                end, at = _end_of_quote(value, quote, at)
        found[name] = _value(value, end, known, f"{shown}: line {number}", allowance)
    return found


def _value(
    value: str, end: int, variables: Mapping[str, str], where: str, allowance: Allowance
) -> str:
    if end > 0 and value[0] == "'":
        return value[1:end]
    if end > 0:
        plain = _ESCAPED.sub(lambda one: _ESCAPES.get(one[1], one[0]), value[1:end])
    else:
        plain = _COMMENT.split(value, maxsplit=1)[0].rstrip()
    if "$" not in plain:
        return plain
    return fill_in(plain, variables, where=where, allowance=allowance)


def _end_of_quote(value: str, quote: str, at: int) -> tuple[int, int]:
    """Return where a quote ends, or -1; and where to go on once the value has got longer."""
    while at < len(value):
        if value[at] == "\\" and quote == '"':
            at += 1
        elif value[at] == quote:
            return at, at
        at += 1
    return -1, at


def _closing(text: str, at: int) -> int:
    """Return where the brace that is open at ``at`` closes; -1: nowhere."""
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1
