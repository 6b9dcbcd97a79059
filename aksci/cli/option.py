"""What an option is: how it is called, read and explained. Ours are in ``aksci.cli.options``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

__all__ = ["DeclaredOption", "Option"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of sessions.

    ``with_dependents`` is written ``--with-dependents``, and is what the session's function gets as
    its keyword argument of that name, if it was given at all: a text, ``True`` (``flag``) or a
    tuple of texts (``many``). So the function's own default stands for what was not given.

    :raises ConfigError: it can't be called or read so.
    """

    name: str
    """As a parameter of a function."""
    help: str
    """What it does: a clause, for the usage of the session."""
    default: str = ""
    """What holds if it is not given, for the usage."""
    metavar: str = ""
    """What stands for its value there. Default: from the name."""
    choices: tuple[str, ...] = ()
    flag: bool = False
    """It has no value."""
    many: bool = False
    """It may be given several times."""
    type: Callable[[str], Any] = str
    """Makes the value of the text, or raises ``ValueError``."""

    def __post_init__(self) -> None:
        written = f"--{self.name.replace('_', '-')}"
        if not self.name.isidentifier() or self.name in {"help", "explain_rebase"}:
            raise ConfigError(
                f"An option can't be called {self.name!r}.",
                hint="use a Python identifier, such as with_dependents, that is not taken.",
            )
        if self.flag and (self.many or self.choices or self.type is not str):
            raise ConfigError(
                f"{written} is a flag: it has no value, so it takes no choices, type or many.",
                hint=f"Leave out flag=True, if {written} is to have a value.",
            )
        if self.choices and self.type is not str:
            raise ConfigError(f"{written} has choices, which are strings: leave out its type.")


@dataclass(frozen=True, kw_only=True)
class DeclaredOption(Option):
    """An option as the command line knows it: of ours, one declaration is for several sessions."""

    bare: bool = False
    """All words without an option's name."""
    several: bool = False
    """With ``many``: each value may hold several, with blanks between them."""
    meanings: Mapping[str, str] = field(default_factory=dict)
    """Session -> what it does there, if that is something else."""
    narrowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Session -> the choices that there are."""

    @classmethod
    def of(cls, option: Option) -> Self:
        """Return an option of a team's own, which one session has."""
        return cls(**{each.name: getattr(option, each.name) for each in fields(Option)})

    @property
    def written(self) -> str:
        """As it is written on the command line; for bare words, what stands for them."""
        return self.value if self.bare else f"--{self.name.replace('_', '-')}"

    @property
    def value(self) -> str:
        """What stands for its value."""
        return self.metavar or self.name.replace("_", "-").upper()

    def choices_for(self, session: str) -> tuple[str, ...]:
        """Return what a session takes of it; nothing: any text."""
        return self.narrowed.get(session, self.choices)

    def meaning_for(self, session: str) -> str:
        """Return what it does for a session."""
        return self.meanings.get(session, self.help)
