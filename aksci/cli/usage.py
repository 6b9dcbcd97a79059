"""Usage texts: of one session, and of all of them. Derived from what is declared."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import aksci.core.errors
from aksci.cli.options import options_of
from aksci.cli.sessions import SESSIONS
from aksci.core.errors import WORK_TO_DO, AksciError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aksci.cli.option import DeclaredOption
    from aksci.cli.sessions import SessionSpec

__all__ = ["session_usage", "sessions_usage", "status_meanings"]

_WIDTH = 88
_INDENT = 24


def sessions_usage() -> str:
    """Return what ``python -m aksci --help`` shows: the sessions, and how to see the rest."""
    width = max(map(len, SESSIONS))
    sessions = "\n".join(f"  {each.name:{width}}  {each.summary}" for each in SESSIONS.values())
    return (
        "usage: python -m aksci [-C FOLDER] SESSION [options]\n\n"
        f"sessions:\n{sessions}\n\n"
        "python -m aksci SESSION --help shows the options of one, and how it can end.\n"
        "A noxfile may have sessions of its own: nox -l lists them.\n"
    )


def session_usage(session: SessionSpec) -> str:
    """Return a session's usage: what it does, its options, an example, and how it can end."""
    name = session.name
    calls = [f"nox -s {name} -- [options]"]
    calls += [] if session.noxfile else [f"python -m aksci [-C FOLDER] {name} [options]"]
    options = "\n".join(_entries(_options(session)))
    example = f"nox -s {name} -- {session.example}" if session.example else f"nox -s {name}"
    meanings = status_meanings()
    statuses = "\n".join(f"  {one:>3}  {meanings[one]}" for one in session.statuses)
    if session.noxfile:
        statuses += "\n  Any other is that of an error of the steps that it calls (aksci.errors)."
    return (
        "usage: " + "\n       ".join(calls) + f"\n\n{session.summary}\n\n"
        f"options:\n{options}\n\n"
        f"example:\n  {example}\n\n"
        f"exit statuses (nox itself ends with 1, and tells them):\n{statuses}\n"
    )


def status_meanings() -> Mapping[int, str]:
    """Return every exit status, with what it means: of an error, what its class says."""
    classes = (getattr(aksci.core.errors, name) for name in aksci.core.errors.__all__)
    errors = [each for each in classes if isinstance(each, type) and issubclass(each, AksciError)]
    meanings: dict[int, str] = {}
    # A class that shares its parent's status comes after it.
    for each in sorted(errors, key=lambda one: len(one.__mro__)):
        meanings.setdefault(each.exit_status, (each.__doc__ or each.code).partition("\n")[0])
    meanings |= {
        0: "All went well.",
        1: "A defect, of aksci or of a pipeline; it is shown with its traceback.",
        WORK_TO_DO: "There is work to do; it is no error.",
    }
    return dict(sorted(meanings.items()))


def _options(session: SessionSpec) -> Iterator[tuple[str, str]]:
    for option in options_of(session).values():
        written = option.written
        if not option.bare and not option.flag:
            written += f" {option.value}"
        yield written, _told(option, session.name)
    yield "--help", "show this, and stop"


def _told(option: DeclaredOption, session: str) -> str:
    choices = option.choices_for(session)
    told = [
        *([f"one of {', '.join(choices)}"] if choices else []),
        *([f"default: {option.default}"] if option.default else []),
    ]
    meaning = option.meaning_for(session)
    return f"{meaning} ({'; '.join(told)})" if told else meaning


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lay out names and what they mean in two columns."""
    for name, text in entries:
        yield textwrap.fill(
            text,
            _WIDTH,
            initial_indent=f"  {name:{_INDENT - 4}}  ",
            subsequent_indent=" " * _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
