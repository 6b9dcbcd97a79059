"""Reads the words after ``--``, as the options that there are say."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.cli.option import DeclaredOption

__all__ = ["Given", "read_arguments"]

_REMOVED = {
    "--explain-rebase": (
        (
            "--explain-rebase is gone: rebase was removed, since BuildKit makes the same images "
            "from its shared cache (COPY --link)."
        ),
        "nox -s cascade -- --plan says which images would be rebuilt, and why.",
    )
}
"""What scripts may still give -> what became of it, and what helps."""


@dataclass(kw_only=True)
class Given:
    """What was given, in order."""

    values: dict[str, Any] = field(default_factory=dict)
    """By the options' names; nothing of what was not given."""
    unknown: list[str] = field(default_factory=list)
    """Words that look like options, and are none."""
    words: list[str] = field(default_factory=list)
    """Words that belong to no option."""


def read_arguments(arguments: Sequence[str], declared: Mapping[str, DeclaredOption]) -> Given:
    """Read arguments as the options that there are say.

    No abbreviations: a script's ``--re`` would change its meaning with the next option.

    :raises UsageError: an option lacks its value, or can't be read.
    """
    written = {option.written: option for option in declared.values() if not option.bare}
    bare = next((option for option in declared.values() if option.bare), None)
    given = Given()
    rest = deque(arguments)
    while rest:
        word = rest.popleft()
        if word == "--":
            given.words += rest
            break
        if not _is_option(word):
            given.words.append(word)
            continue
        name = word.partition("=")[0]
        if name in _REMOVED:
            message, hint = _REMOVED[name]
            raise UsageError(message, hint=hint)
        if name in written:
            _read(given, written[name], word, rest)
        else:
            given.unknown.append(word)
    if bare and given.words:
        given.values[bare.name] = tuple(given.words)
        given.words = []
    return given


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _read(given: Given, option: DeclaredOption, word: str, rest: deque[str]) -> None:
    """Read an option, with its value from the words that follow if it has not brought it."""
    name, equals, value = word.partition("=")
    if option.flag:
        if equals:
            raise UsageError(f"{name} takes no value: {word}.")
        given.values[option.name] = True
    elif equals:
        _note(given, option, value)
    elif rest and not _is_option(rest[0]):
        _note(given, option, rest.popleft())
    else:
        takes = f" It takes {', '.join(option.choices)}." if option.choices else ""
        raise UsageError(f"{name} needs a value: {name} {option.value}.{takes}")


def _note(given: Given, option: DeclaredOption, text: str) -> None:
    texts = text.split() if option.several else [text]
    try:
        values = tuple(option.type(each) for each in texts)
    except ValueError as error:
        raise UsageError(f"{option.written} {text}: {error}.") from None
    if option.many:
        given.values[option.name] = (*given.values.get(option.name, ()), *values)
    else:
        (given.values[option.name],) = values
