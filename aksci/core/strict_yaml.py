"""YAML, read in one way or not at all: as Go's programs read it, in linear time and memory.

Helm and Kubernetes read YAML with sigs.k8s.io/yaml (go.yaml.in/yaml/v2, then JSON), Compose and
Skaffold with go.yaml.in/yaml/v3 or v4. Where these differ from each other, from PyYAML or from a
reader of lines, an attacker shows one thing to us and another to what applies it. So what can be
read in two ways is refused: a key twice, most tags, directives, what stands after an end of a
document, line breaks that only some readers know. What is left, all of them read alike;
tests/integration/test_deploy/test_yaml_differential.py compares it with Helm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["YamlError", "parse_yaml"]

_LARGEST = 5 * 1024 * 1024
"""Bytes of a file: what Helm reads of one at most (its pkg/chart/loader/archive)."""
_DEEPEST = 100
"""Levels. A CustomResourceDefinition's schema has about forty."""
_EXPANDED = 1_000_000
"""How much aliases and merges may add to what is in the file, in characters and 16 a node."""

_FOREIGN = re.compile(
    # Control characters; NEL, LS and PS, which break lines in YAML 1.1 only; surrogates; a mark of
    # byte order; a carriage return alone, which YAML takes for a line break and Helm does not.
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    "|\r(?!\n)"
)
_MARKER = re.compile(r"^(?:---(?!(?:[ \t]+#.*|[ \t]*)\r?$)|\.\.\.(?![ \t]*\r?$))", re.MULTILINE)
"""A document's marker with something behind it: Helm and kubectl find markers by lines, YAML by
tokens, and what they make of ``---# x`` or ``--- x`` is not the same."""
_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"

_INT = re.compile(r"[-+]?(?:0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DIGITS = 20
"""Of a decimal number of 64 bits, at most."""
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_YES = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_NO = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})

_CUT = re.compile(r"\s*:[,\[\]{}]")

Dialect = Literal["helm", "compose"]


class YamlError(ValueError):
    """It is no YAML, or can be read in more than one way. The text quotes nothing of the file."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


def parse_yaml(
    content: str | bytes,
    *,
    dialect: Dialect = "helm",
    tags: Mapping[str, Callable[[Any], Any]] | None = None,
    largest: int = _LARGEST,
) -> list[Any]:
    """Return the documents of a text or a file's bytes, those without content left out.

    :param dialect: ``helm`` for what Helm and Kubernetes read: ``yes`` is a boolean, and a merge
        must bring nothing that is there already. ``compose`` for Compose and Skaffold: ``yes`` is
        a text, and what a mapping says itself goes before what is merged into it.
    :param tags: further tags, and what they make of a value.
    :param largest: characters, or bytes.
    :raises YamlError: it is no YAML, or can be read in two ways.
    """
    if len(content) > largest:
        raise YamlError(f"it is larger than {largest} bytes", 1)
    text = content if isinstance(content, str) else _decoded(content)
    for pattern, problem in (
        (_FOREIGN, "a character or line break that YAML's readers take for different things"),
        (_MARKER, "something stands behind a document's marker in its line"),
    ):
        if found := pattern.search(text):
            raise YamlError(problem, text.count("\n", 0, found.start()) + 1)
    composer = _Composer(text=text, dialect=dialect, tags=tags or {})
    for event, line in _events(text):
        composer.take(event, line)
    return [one for one in composer.documents if one is not None]


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError("it is not UTF-8", content.count(b"\n", 0, error.start) + 1) from None


def _events(text: str) -> Iterator[tuple[Any, int]]:
    """Yield what LibYAML's scanner finds, from which Go's are ported too, and each one's line."""
    import yaml

    # Without LibYAML, PyYAML's own: slower, and it accepts a little less.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events: Iterator[Any] = yaml.parse(text, loader)
        for event in events:
            yield event, event.start_mark.line + 1
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        # What it found is a part of the file.
        problem = re.sub(r"\s*(['\"]).*\1", " something", str(error.problem), flags=re.DOTALL)
        raise YamlError(problem, mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise YamlError("this is no YAML", 1) from None


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not come."""

    value: Any
    tag: str | None
    anchor: str | None
    key: str | None = None
    """Of a mapping: what the next value belongs to."""
    awaits_value: bool = False
    merged: list[tuple[Any, int]] | None = None
    """Of a mapping: what ``<<`` names, and its line."""
    weight: int = 16


@dataclass(slots=True)
class _Composer:
    """Makes values of events. There is no recursion: the depth of a text is not Python's."""

    text: str
    dialect: Dialect
    tags: Mapping[str, Callable[[Any], Any]]
    documents: list[Any] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _anchors: dict[str, tuple[Any, int] | None] = field(default_factory=dict)
    """Name -> (value, weight); None: its end has not come."""
    _added: int = 0

    def take(self, event: Any, line: int) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._scalar(event, line)
        elif kind == "AliasEvent":
            self._alias(event, line)
        elif kind in {"MappingStartEvent", "SequenceStartEvent"}:
            self._begin({} if kind == "MappingStartEvent" else [], event, line)
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            self._end(line)
        elif kind == "DocumentStartEvent":
            self._document(event, line)

    def _document(self, event: Any, line: int) -> None:
        self._anchors.clear()
        if event.version or event.tags:
            raise YamlError("a directive (%) changes what follows: leave it out", line)

    def _begin(self, value: Any, event: Any, line: int) -> None:
        if len(self._open) >= _DEEPEST:
            raise YamlError(f"it is nested deeper than {_DEEPEST} levels", line)
        if self._awaits_key():
            raise YamlError("a key must be a text", line)
        tag = None if event.tag in {_plain_tag(value), None} else event.tag
        if tag is not None and tag not in self.tags:
            raise YamlError("a tag that not all readers know", line)
        self._name(event.anchor, line)
        self._open.append(_Open(value=value, tag=tag, anchor=event.anchor))

    def _end(self, line: int) -> None:
        done = self._open.pop()
        if done.merged is not None:
            self._merge(done)
        value = self.tags[done.tag](done.value) if done.tag is not None else done.value
        if done.anchor is not None:
            self._anchors[done.anchor] = (value, done.weight)
        self._put(value, done.weight, line)

    def _scalar(self, event: Any, line: int) -> None:
        text, tag = event.value, event.tag
        self._name(event.anchor, line)
        # ``[!!str, x]``: to Go the comma is a part of the tag.
        if tag is not None and not text and not event.style:
            raise YamlError("a tag that not all readers know", line)
        # ``{?a}``: a key that is called ``a``, or one called ``?a``.
        if event.start_mark.index and self.text[event.start_mark.index - 1] == "?":
            raise YamlError("a question mark that not all readers take for a key's", line)
        # ``{a:,}``: a key that is called ``a:``, but to PyYAML without LibYAML ``a``.
        if not event.style and _CUT.match(self.text, event.end_mark.index):
            raise YamlError("a colon that not all readers take for a key's", line)
        # A surrogate by escapes: no UTF-8, so Go refuses it.
        if "\\" in text or not text.isascii():
            _require_utf8(text, line)
        if self._awaits_key():
            self._key(event, line)
            return
        if tag in self.tags:
            word = (
                _resolve(text, self.dialect, line) if event.implicit[0] or not event.style else text
            )
            value: Any = self.tags[tag](word)
        elif tag is None:
            value = _resolve(text, self.dialect, line) if event.implicit[0] else text
        else:
            value = _tagged(text, tag, self.dialect, line)
        weight = 16 + len(text)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, weight)
        self._put(value, weight, line)

    def _alias(self, event: Any, line: int) -> None:
        found = self._anchors.get(event.anchor)
        if self._awaits_key():
            raise YamlError("a key must be a text", line)
        if found is None:
            raise YamlError("an alias of what is not there, or of what it is in itself", line)
        value, weight = found
        self._added += weight
        if self._added > _EXPANDED:
            raise YamlError("aliases make much more of it than is written there", line)
        self._put(value, weight, line)

    def _name(self, anchor: str | None, line: int) -> None:
        if anchor is None:
            return
        if anchor in self._anchors:
            raise YamlError("an anchor is there twice", line)
        self._anchors[anchor] = None

    def _awaits_key(self) -> bool:
        return (
            bool(self._open)
            and isinstance(self._open[-1].value, dict)
            and not self._open[-1].awaits_value
        )

    def _key(self, event: Any, line: int) -> None:
        parent, text = self._open[-1], event.value
        if text == "<<":
            # With its tag, too: so Helm writes it for a post-renderer (kyaml).
            if event.style or event.tag not in {None, _MERGE} or parent.merged is not None:
                raise YamlError("a merge (<<) that not all readers take for one", line)
            parent.merged, parent.key = [], None
        elif not _is_text(event, self.dialect):
            raise YamlError("a key must be a text: put it into quotation marks", line)
        elif text in parent.value:
            raise YamlError("a key is there twice", line)
        else:
            parent.key = text
            parent.value[text] = None  # its place in the order
        parent.weight += 16 + len(text)
        parent.awaits_value = True

    def _put(self, value: Any, weight: int, line: int) -> None:
        if not self._open:
            self.documents.append(value)
            return
        parent = self._open[-1]
        parent.weight += weight
        if isinstance(parent.value, list):
            parent.value.append(value)
            return
        parent.awaits_value = False
        if parent.key is not None:
            parent.value[parent.key] = value
            return
        sources = value if isinstance(value, list) else [value]
        if any(not isinstance(each, dict) for each in sources):
            raise YamlError("a merge (<<) of what is no mapping", line)
        parent.merged = [(each, line) for each in sources]

    def _merge(self, done: _Open) -> None:
        own = set(done.value)
        for source, line in done.merged or ():
            for key, value in source.items():
                if key in own and self.dialect == "compose":
                    continue
                # Which one wins depends on the reader, and on the order.
                if key in done.value and self.dialect == "helm":
                    raise YamlError("a merge (<<) brings a key that is there already", line)
                done.value.setdefault(key, value)


def _plain_tag(value: Any) -> str:
    return _PREFIX + ("map" if isinstance(value, dict) else "seq")


def _is_text(event: Any, dialect: Dialect) -> bool:
    """Tell whether every reader makes the same text of a key.

    Go's make text of numbers and booleans: of ``8080`` and ``true`` what is written, but ``true``
    of ``on``, and 420 of ``0644``.
    """
    if event.tag is not None:
        return bool(event.tag == _PREFIX + "str")
    if not event.implicit[0]:
        return True
    try:
        value = _resolve(event.value, dialect, 0)
    except YamlError:
        return False
    if isinstance(value, bool):
        return bool(event.value in {"true", "false"})
    if isinstance(value, int):
        return str(value) == event.value and abs(value) < 2**53
    return isinstance(value, str)


def _tagged(text: str, tag: str, dialect: Dialect, line: int) -> Any:
    """Return the value of a scalar that names its type: one that it would have by itself."""
    if tag == _PREFIX + "str":
        return text
    value = _resolve(text, dialect, line)
    names = {bool: "bool", int: "int", float: "float", type(None): "null"}
    if _PREFIX + names.get(type(value), "") != tag:
        raise YamlError("a tag that not all readers know", line)
    return value


def _resolve(text: str, dialect: Dialect, line: int) -> Any:
    """Return what a plain scalar means (Go: go.yaml.in/yaml/v2 and v3, resolve.go)."""
    if text in _NULL:
        return None
    if text in _TRUE or (dialect == "helm" and text in _YES):
        return True
    if text in _FALSE or (dialect == "helm" and text in _NO):
        return False
    return _number(text, line) if text[0] in "-+.0123456789" else text


def _number(text: str, line: int) -> int | float | str:
    digits = text.replace("_", "")
    number = _integer(digits) if _INT.fullmatch(digits) else None
    if number is not None and -(2**63) <= number < 2**64:
        return number
    if _NOT_FINITE.fullmatch(text):
        raise YamlError("a number that is none in JSON", line)
    if not _FLOAT.fullmatch(digits):
        return text
    if text[0] == "." and digits != text:
        raise YamlError("a number that not all readers take for one", line)
    found = float(digits)
    # Beyond its range it is a text to Go.
    return text if found in {float("inf"), float("-inf")} else found


def _integer(digits: str) -> int | None:
    bare = digits.lstrip("-+")
    if bare[0] != "0":
        # Longer ones are beyond 64 bits; Python would take quadratic time to find out.
        return int(digits) if len(bare) <= _DIGITS else None
    return int(digits, 8 if bare.isdigit() else 0)


def _require_utf8(text: str, line: int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise YamlError("a character that is none", line) from None
