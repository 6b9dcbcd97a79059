"""Text that others wrote, made harmless for where it is shown: a terminal, Markdown, HTML, JSON.

Names of files, values of arguments, titles of vulnerabilities and output of programs are whatever
a pull request, an image or a registry says they are.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

__all__ = [
    "encodable",
    "escape_html",
    "escape_markdown",
    "one_line",
    "safe_json",
    "sanitise",
    "short_line",
    "spelled",
    "write_line",
]

# CSI and OSC sequences as ECMA-48 defines them, then any other two-character escape.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
# Azure Pipelines obeys ``##vso[`` anywhere in a line; GitHub obeys ``##[`` anywhere.
_HASH_COMMAND = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
# GitHub obeys ``::command::`` at the line's start, white space aside. One line's white space: were
# line breaks among it, each of a million empty lines would be looked at from each one before it.
_COLON_COMMAND = re.compile(r"^([^\S\n]*+)::", re.MULTILINE)
_INVISIBLE = re.compile(
    "["
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of what follows
    "\u200b\u2060-\u2065\ufeff"  # no width: a space, joiners, operators, the byte order mark
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u206a-\u206f\u3164\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # of shorthand and of music
    "\U000e0000-\U000e0fff"  # tags, which hold a hidden text
    "\u2800\U00016fe4\U0001d159"  # letters that leave no ink: of Braille, Khitan and music
    "]"
)
"""What is not seen, and makes a line look like another one: CVE-2021-42574 ("Trojan Source").

Of UAX #9 (section 2) the directional formatting characters; of Unicode's ``DerivedCoreProperties``
the ``Default_Ignorable_Code_Point``, but for ``_JOINERS``; annotations (U+FFF9 to U+FFFB); blanks
that Unicode does not call so.
"""
# Persian, the scripts of India and emoji need them, after a character of their own: no ASCII, no
# blank.
_JOINERS = re.compile(r"(?<![^\x00-\x7f\s])[\u200c\u200d\ufe00-\ufe0f]+")
_PLAIN = re.compile(r"[!-\[\]-~]++(?: [!-\[\]-~]++)*+")
# Of blanks, one of ASCII between two others is seen: those of ``one_line`` are.
_UNSEEN = re.compile(
    rf"{_CONTROL.pattern}|[\t\n\r\ud800-\udfff]|{_INVISIBLE.pattern}|[\u200c\u200d\ufe00-\ufe0f]"
    r"|(?! )\s|^ | $|(?<= ) |\\(?=[\\xuU])"
)
_MARKS = re.compile(r"([\\`*_{}\[\]<>()|#@!~$&])")
_ADDRESS = re.compile(r"(?<=[a-z])(://)|(?<=www)(\.)", re.IGNORECASE)
# The digest of ``repository@sha256:…`` is nobody's name: such a reference stays whole in the text.
_MENTION = re.compile(
    r"(?<!\w)\\@|\\@(?!sha(?:256|512):)|\\[#!](?=\d)|\bGH-(?=\d)", re.IGNORECASE | re.ASCII
)
_NOTHING = "<!-- -->"
_LIKENESS = {
    "├": "|",
    "└": "`",
    "│": "|",
    "─": "-",
    "←": "<-",
    "→": "->",
    "↑": "^",
    "↓": "v",
    "…": "...",
}
"""What our own texts draw with -> the same in ASCII."""
_SHORT = 200
_NAMED = 1000
"""Characters of a name that are shown."""
_LOOKED_AT = 8
"""How many times what is shown of a text is cleaned, at most: the rest is cut off before."""


def sanitise(text: str) -> str:
    """Make text from a program or a cluster harmless to a terminal and to both CI systems.

    ANSI escapes, control characters and invisible ones go, also those that turn a line's direction;
    a lone carriage return becomes a line break; ``##vso[`` and ``##[`` become ``# #vso[`` and
    ``# #[``, and ``::cmd::`` at a line's start becomes ``: :cmd::``, so that they stay readable and
    are not obeyed. Its time is in proportion to the text's length.

    Sources: Azure Pipelines "Logging commands"; GitHub Actions "Workflow commands".
    """
    # Whole sequences first: without its ESC, the rest of one would stay as text.
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    if not text.isascii():
        text = _JOINERS.sub("", _INVISIBLE.sub("", text))
    # Only now: a character between two ``#`` has gone, and would otherwise have hidden them from us
    # and not from the agent.
    text = _HASH_COMMAND.sub("# #", text)
    return _COLON_COMMAND.sub(r"\1: :", text)


def one_line(text: str, longest: int | None = None) -> str:
    """Return text as one harmless line, of at most so many characters.

    What is harmless stays as it is.
    """
    head = text if longest is None else text[: longest * _LOOKED_AT]
    # JSON can hold half a surrogate pair, and the name of a file any byte: neither is UTF-8.
    known = head.encode("utf-8", "replace").decode()
    line = " ".join(sanitise(known).split())
    if longest is None or (len(line) <= longest and len(head) == len(text)):
        return line
    return line[: longest - 1] + "…"


def short_line(value: object, longest: int = _SHORT) -> str:
    """Return a value that others wrote as one harmless, short line; nothing is an empty text."""
    return "" if value is None else one_line(str(value), longest)


def spelled(text: str) -> str:
    """Return a name to be shown to the character: what is not seen becomes an escape of Python's.

    What is compared exactly must not look like what it does not equal. Of a long name, it is the
    beginning.
    """
    if len(text) > _NAMED:
        return spelled(text[: _NAMED - 1]) + "…"
    return text if _PLAIN.fullmatch(text) else _UNSEEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":  # else a name that holds such an escape would look the same
        return "\\\\"
    if character.isascii():
        return f"\\x{ord(character):02x}"
    return character.encode("unicode_escape").decode()


def encodable(text: str, stream: TextIO) -> str:
    """Return text as a stream can write it: what its encoding lacks is drawn in ASCII.

    What has no likeness there becomes a question mark.
    """
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(_drawn(character, encoding) for character in text)
    return text.encode(encoding, "replace").decode(encoding)


def _drawn(character: str, encoding: str) -> str:
    likeness = _LIKENESS.get(character)
    if likeness is None:
        return character
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return likeness
    return character


def write_line(stream: TextIO, text: str) -> None:
    """Write a line, or lines, whatever characters the stream's encoding lacks."""
    stream.write(encodable(text, stream) + "\n")


def escape_markdown(text: str, longest: int | None = None) -> str:
    """Return text as one line that GitHub Flavored Markdown shows as it is, also in a table.

    Its "Backslash escapes" (2.4) cover punctuation. Bare addresses become links by themselves
    ("Autolinks", 6.9): their colon is written as an entity. GitHub looks for ``@somebody`` and
    ``#1`` (Azure DevOps for ``#1`` and ``!1``) only when backslashes and entities are gone again:
    an empty comment keeps the two apart (github.com/github/cmark-gfm, issue 181).
    """
    escaped = _ADDRESS.sub(_entity, _MARKS.sub(r"\\\1", one_line(text, longest)))
    return _MENTION.sub(rf"\g<0>{_NOTHING}", escaped)


def escape_html(text: str, longest: int | None = None) -> str:
    """Return text as one line that HTML shows as it is, in an element or in an attribute."""
    return html.escape(one_line(text, longest))


def safe_json(document: Any) -> str:
    """Return a document as JSON that no CI system takes for a command of its own.

    ``##`` can only be in a string, where the second may be written as JSON's escape of ``#``.
    """
    # ASCII but for DEL, which JSON may hold as it is.
    return json.dumps(document, indent=2).replace("##", "#\\u0023").replace("\x7f", "\\u007f")


def _entity(match: re.Match[str]) -> str:
    return "&#58;//" if match[1] else "&#46;"
