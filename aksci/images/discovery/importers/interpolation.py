"""Variables as Compose fills them in, and the file .env.

Compose specification, "Interpolation"; Docker's documentation, "Syntax for environment files".
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["fill_in", "fill_in_all", "read_env_file"]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(.*))?", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# A dollar comes out doubled: variables are filled in afterwards, and make it one again.
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def fill_in(
    text: str,
    variables: Mapping[str, str],
    *,
    where: str,
    unset: Callable[[str], None] = lambda _name: None,
) -> str:
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``:?``, ``:+`` (and without the colon).

    :param unset: told the name of each variable that has neither value nor default: it is empty.
    :raises ConfigError: the text is wrong, or a variable that must be set is not.
    """
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
                raise ConfigError(f"{where}: a ${{ has no end.")
            inner = text[dollar + 2 : end]
            out.append(_braced(inner, variables, where=where, unset=unset))
            at = end + 1
        elif match := _WORD.match(text, dollar + 1):
            out.append(_plain(match.group(), variables, unset))
            at = match.end()
        else:
            raise ConfigError(f"{where}: a $ without a name; write $$ for a dollar.")
    return "".join([*out, text[at:]])


def fill_in_all(
    value: Any,
    variables: Mapping[str, str],
    *,
    where: str,
    unset: Callable[[str], None] = lambda _name: None,
) -> Any:
    """Fill in all text in a value of YAML; keys stay as they are."""
    if isinstance(value, str):
        return fill_in(value, variables, where=where, unset=unset) if "$" in value else value
    if isinstance(value, dict):
        return {
            key: fill_in_all(one, variables, where=f"{where}.{key}", unset=unset)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [fill_in_all(one, variables, where=where, unset=unset) for one in value]
    if hasattr(value, "value"):  # !override
        value.value = fill_in_all(value.value, variables, where=where, unset=unset)
    return value


def read_env_file(path: Path, variables: Mapping[str, str], shown: str) -> dict[str, str]:
    """Read a file of ``NAME=value`` lines.

    Values in single quotes are taken as they are; in the others, variables are filled in: those
    handed in, then those of the lines above.

    Messages show no line: such a file may hold passwords.

    :param path: links followed, so that it surely is in the project.
    :param shown: what messages call the file.
    :raises ConfigError: it can't be read, or a line is wrong.
    """
    try:
        content = read_file(path, shown=shown).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{shown} does not exist.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} can't be read: it is not UTF-8.") from None
    found: dict[str, str] = {}
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
        while quote and _end_of_quote(value, quote) < 0 and lines:
            value += "\n" + lines.popleft()
        found[name] = _value(value, quote, {**found, **variables}, f"{shown}: line {number}")
    return found


def _value(value: str, quote: str, variables: Mapping[str, str], shown: str) -> str:
    end = _end_of_quote(value, quote) if quote else -1
    if quote == "'" and end > 0:
        return value[1:end]
    if quote and end > 0:
        plain = _ESCAPED.sub(lambda one: _ESCAPES.get(one[1], one[0]), value[1:end])
    else:
        plain = re.split(r"\s+#|^#", value, maxsplit=1)[0].rstrip()
    return fill_in(plain, variables, where=shown) if "$" in plain else plain


def _end_of_quote(value: str, quote: str) -> int:
    at = 1
    while at < len(value):
        if value[at] == "\\" and quote == '"':
            at += 1
        elif value[at] == quote:
            return at
        at += 1
    return -1


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


def _plain(name: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    if name not in variables:
        unset(name)
    return variables.get(name, "")


def _braced(
    inner: str, variables: Mapping[str, str], *, where: str, unset: Callable[[str], None]
) -> str:
    match = _WORD.match(inner)
    if match is None:
        raise ConfigError(f"{where}: a ${{}} names no variable.")
    name, rest = match.group(), inner[match.end() :]
    if not rest:
        return _plain(name, variables, unset)
    colon = rest.startswith(":")
    operator, operand = rest[colon : colon + 1], rest[colon + 1 :]
    value = variables.get(name)
    there = bool(value) if colon else value is not None
    if operator == "-":
        return value or "" if there else fill_in(operand, variables, where=where, unset=unset)
    if operator == "+":
        return fill_in(operand, variables, where=where, unset=unset) if there else ""
    if operator == "?":
        if there:
            return value or ""
        why = fill_in(operand, variables, where=where, unset=unset)
        raise ConfigError(
            f"{where}: the variable {name} must be set" + (f": {why}." if why else "."),
            hint=f"export {name}=…, or write it into the .env file.",
        )
    raise ConfigError(f"{where}: ${{{name}}} is no way to fill in a variable.")
