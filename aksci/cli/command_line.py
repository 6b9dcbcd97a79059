"""Checks the words after ``--``: what none of the sessions takes that they are for is refused.

nox hands one list of arguments to every session that it runs: each takes what it knows. So a word
is wrong if nobody knows it, and that has to be found before the first of them runs: ``nox -s build
deploy -- --onyl web`` would otherwise build and deploy everything.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.cli.arguments import read_arguments
from aksci.cli.options import OPTIONS, options_of
from aksci.cli.sessions import SESSIONS
from aksci.core import spelling
from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aksci.cli.arguments import Given
    from aksci.cli.option import DeclaredOption
    from aksci.cli.sessions import SessionSpec

__all__ = ["CommandLine", "asks_for_help", "did_you_mean"]

_HELP = frozenset({"-h", "--help"})
_PLAN = "plan"
"""Accepted by each session or by none: one that ignored it would make changes."""
_UNSET = frozenset({"compare", "output", "release", "save"})
"""Empty, they are as if not given: scripts pass variables that may not be set."""
_MEANT = ("only", "release", "to", "base", "env")
"""Which option a bare word was probably meant for: the first that the sessions take."""


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """The sessions that one list of arguments is for."""

    sessions: tuple[SessionSpec, ...]
    others: bool = False
    """Other sessions may run too, whose options aksci does not know."""

    def values_for(self, session: SessionSpec, arguments: Sequence[str]) -> dict[str, Any]:
        """Return what was given for a session, by the options' names.

        Beside sessions that are not ours, what none of ours takes is for those; only a word that
        looks like a misspelt option of ours is refused still, since ours would act without it.

        :raises UsageError: something is wrong, or for none of the sessions.
        """
        taken = self._taken()
        # Words are for nobody if no session takes any, and options have their values all the same.
        known = {name: option for name, option in OPTIONS.items() if not option.bare} | taken
        given = read_arguments(arguments, taken if self.others else known)
        self._require_known(given, taken)
        self._require_plan_of_all(given)
        self._require_choices(given)
        left = {name for name in _UNSET if given.values.get(name) == ""}
        names = [name for name in options_of(session) if name in given.values and name not in left]
        return {name: given.values[name] for name in names}

    def _taken(self) -> dict[str, DeclaredOption]:
        taken: dict[str, DeclaredOption] = {}
        for session in self.sessions:
            for name, option in options_of(session).items():
                if taken.setdefault(name, option) != option:
                    raise UsageError(
                        f"{option.written} is not the same option for all of {self._names}.",
                        hint="Run them one by one.",
                    )
        return taken

    def _require_known(self, given: Given, taken: Mapping[str, DeclaredOption]) -> None:
        known = [option.written for option in taken.values() if not option.bare]
        hint = f"nox -s {self.sessions[0].name} -- --help"
        for word in given.unknown:
            name = word.partition("=")[0]
            meant = did_you_mean(name, known)
            if meant or not self.others:
                raise UsageError(f"{self._names} {self._take} no option {name}.{meant}", hint=hint)
        strange = [name for name in given.values if name not in taken]
        if strange:
            names = ", ".join(OPTIONS[name].written for name in strange)
            takes = ", ".join(option.written for option in taken.values())
            raise UsageError(f"{names} means nothing to {self._names}; {self._it_takes} {takes}.")
        if given.words and not self.others:
            words = shlex.join(given.words)
            raise UsageError(
                f"{self._names} {self._take} no word without an option: {words}.",
                hint=self._hint_for(given.words, taken),
            )

    def _hint_for(self, words: Sequence[str], taken: Mapping[str, DeclaredOption]) -> str:
        names = " ".join(session.name for session in self.sessions)
        if words[0] in SESSIONS:
            return f"nox -s {names} {words[0]}"
        option = next(taken[name] for name in _MEANT if name in taken)
        if option.name == "env" and any(session.own for session in self.sessions):
            return f"nox -s {names} -- --help"  # it may have been meant for one of their own
        return f"nox -s {names} -- {option.written} {shlex.quote(words[0])}"

    def _require_plan_of_all(self, given: Given) -> None:
        if _PLAN not in given.values:
            return
        for session in self.sessions:
            if _PLAN not in options_of(session):
                takes = ", ".join(option.written for option in options_of(session).values())
                raise UsageError(f"--plan means nothing to {session.name!r}; it takes {takes}.")

    def _require_choices(self, given: Given) -> None:
        for session in self.sessions:
            for name, option in options_of(session).items():
                choices = option.choices_for(session.name)
                for value in _values(given.values.get(name, ())):
                    if choices and value not in choices:
                        raise _wrong_choice(session.name, option, value, choices)

    @property
    def _names(self) -> str:
        return " and ".join(repr(session.name) for session in self.sessions)

    @property
    def _take(self) -> str:
        return "takes" if len(self.sessions) == 1 else "take"

    @property
    def _it_takes(self) -> str:
        return "it takes" if len(self.sessions) == 1 else "they take"


def asks_for_help(arguments: Iterable[str]) -> bool:
    """Return whether the arguments ask for a usage text, whatever else they contain."""
    return bool(_HELP & set(arguments))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question for a misspelt word, with a blank before it; or nothing."""
    # Stricter than the default: beside sessions that are not ours, such a word is refused.
    return spelling.did_you_mean(word, known, cutoff=0.7)


def _values(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


def _wrong_choice(
    session: str, option: DeclaredOption, value: object, choices: Sequence[str]
) -> UsageError:
    known = ", ".join(choices)
    if option.name == "format":
        return UsageError(
            f"{session} can't be shown as {value!r}; it takes {option.written} {known}."
        )
    meant = did_you_mean(str(value), choices)
    return UsageError(f"{option.written} can't be {value!r}.{meant} It takes {known}.")
