"""The command line, the same for every session: nox hands all of them one list of arguments.

``Options`` declares each option once: its type and default, what it is called, and what it means to
which sessions. The parser, its help, and what a session accepts are derived from that.
"""

from __future__ import annotations

import argparse
from argparse import SUPPRESS
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BUILD_STAGES",
    "FORMATS",
    "WORK_TO_DO",
    "Options",
    "options_of",
    "parse_options",
    "require_known",
    "usage",
]

BUILD_STAGES = ("build", "validate", "scan", "sign", "push")
"""The steps of ``build`` in order; each is also a session."""
FORMATS = ("text", "json", "markdown", "dot", "mermaid", "html", "sarif", "junit")
"""What ``--format`` may say; each session takes some of them."""
WORK_TO_DO = 20
"""Exit status of ``plan --exit-code`` when there is work to do. It is no error."""

_EVERY = ""
"""In place of sessions' names: all of them."""
_KEY = "declaration"
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class _Declaration:
    """What an option's type and default do not say."""

    meaning: Mapping[str, str]
    """Sessions that take it, with blanks between them -> what it means to them."""
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    bare: bool = False
    """Words without an option's name."""
    several: bool = False
    """Each value may hold several, with blanks between them."""

    @property
    def sessions(self) -> frozenset[str]:
        """Names of sessions, or ``_EVERY``."""
        return frozenset(name for names in self.meaning for name in names.split() or [_EVERY])

    @property
    def help(self) -> str:
        """For whom it is, and what it does."""
        told = ((", ".join(names.split()), text) for names, text in self.meaning.items())
        return "; ".join(f"{names}: {text}" if names else text for names, text in told)


def _flag(meaning: Mapping[str, str]) -> bool:
    declaration = _Declaration(meaning=meaning)
    return field(default=False, metadata={_KEY: declaration})


def _one(
    default: _T,
    meaning: Mapping[str, str],
    *,
    metavar: str | None = None,
    choices: tuple[str, ...] | None = None,
) -> _T:
    declaration = _Declaration(meaning=meaning, metavar=metavar, choices=choices)
    return field(default=default, metadata={_KEY: declaration})


def _many(
    meaning: Mapping[str, str], *, metavar: str, bare: bool = False, several: bool = False
) -> tuple[str, ...]:
    declaration = _Declaration(meaning=meaning, metavar=metavar, bare=bare, several=several)
    return field(default=(), metadata={_KEY: declaration})


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, beyond the session's name."""

    env: str = _one("local", {_EVERY: "environment of aksci.toml (default: local)"}, metavar="NAME")
    format: str = _one(
        "text",
        {"plan why graph cascade scan verify release status": "what to show as"},
        choices=FORMATS,
    )
    plan: bool = _flag(
        {"build cascade promote migrate-trust deploy rollback": "show what would be done, and stop"}
    )
    words: tuple[str, ...] = _many(
        {
            "why": "the image",
            "export": "acr-tasks",
            "verify": "references",
            "release": "show, diff or list, and references",
            "migrate-trust": "repositories",
        },
        metavar="WORD",
        bare=True,
    )
    force: tuple[str, ...] = _many(
        {"plan why build": "build it even if it is published; repeatable"}, metavar="IMAGE"
    )
    only: tuple[str, ...] = _many(
        {"plan build": "this image and what it needs; repeatable"}, metavar="IMAGE"
    )
    with_dependents: bool = _flag(
        {"plan build": "with --only, also all that is built on those images"}
    )
    keep_going: bool = _flag(
        {"build": "when images failed, still take the others through validate, scan and sign"}
    )
    output: str | None = _one(
        None,
        {
            "plan why graph cascade scan verify release": "write there, not to stdout",
            "export": "the folder",
        },
        metavar="PATH",
    )
    save: str | None = _one(None, {"plan": "keep the plan, to compare it later"}, metavar="FILE")
    compare: str | None = _one(
        None, {"plan": "show what differs from a plan that was kept"}, metavar="FILE"
    )
    matrix: str | None = _one(
        None,
        {"plan": "hand the jobs of a CI matrix to later jobs, as this CI system wants it"},
        choices=("github", "azure"),
    )
    group: str = _one(
        "image",
        {"plan": "with --matrix, one job an image, or one for images that need each other"},
        choices=("image", "component"),
    )
    exit_code: bool = _flag(
        {
            "plan": "end with status 20 if there is work to do",
            "cascade": "the same, with --plan",
        }
    )
    until: str = _one(
        BUILD_STAGES[-1],
        {"build": "stop after this step, so that CI jobs can hold separate identities"},
        choices=BUILD_STAGES,
    )
    release: str | None = _one(
        None, {"promote deploy": "registry/repository@sha256:… (default: the last)"}, metavar="REF"
    )
    to: str | None = _one(
        None, {"rollback": "release to go back to (default: the previous one)"}, metavar="REF"
    )
    purge: bool = _flag({"down": "delete images and cluster data too"})
    base: tuple[str, ...] = _many(
        {"cascade": "only what follows from this image; repeatable, or several with spaces"},
        metavar="REF",
        several=True,
    )
    batch: bool = _flag({"cascade": "take what waits for the next batch, too"})
    registry_wide: bool = _flag(
        {"cascade": "also what other repositories of the registry have built on it"}
    )


class _Removed(argparse.Action):
    """Say what became of an option that scripts may still give."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise UsageError(
            "--explain-rebase is gone: rebase was removed, since BuildKit makes the same images "
            "from its shared cache (COPY --link).",
            hint="nox -s cascade -- --plan says which images would be rebuilt, and why.",
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse itself would print and exit; the edge tells all errors in one way.
        raise UsageError(f"{message}.", hint="python -m aksci --help lists sessions and options.")


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the arguments after ``--``.

    :raises UsageError: one is unknown or wrong.
    """
    given = vars(_parser().parse_args(list(arguments)))
    return Options(**{each.name: _value(each, given[each.name]) for each in fields(Options)})


def options_of(session: str) -> frozenset[str]:
    """Return the names of the fields of ``Options`` that mean something to a session."""
    return frozenset(
        each.name for each in fields(Options) if _declared(each).sessions & {session, _EVERY}
    )


def require_known(session: str, options: Options, *, shared: bool) -> None:
    """Refuse an option that the session would ignore: ``rollback --until scan`` means nothing.

    :param shared: the arguments are for several sessions, as nox hands them out: then only
        ``--plan`` is refused, since a session that ignores it would act.
    :raises UsageError: one was given that is not for this session.
    """
    accepted = options_of(session)
    # By value: what is given as its default changes nothing, whatever the session.
    given = {each.name for each in fields(Options) if getattr(options, each.name) != each.default}
    if shared:
        given &= {"plan"}
    if given - accepted:
        names = ", ".join(_shown(name) for name in sorted(given - accepted))
        known = ", ".join(_shown(name) for name in sorted(accepted))
        raise UsageError(f"{names} means nothing to {session!r}; it takes {known}.")


def usage() -> str:
    """Return the help text of the options."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    # No abbreviations: a script's --re would change its meaning with the next option. No --help:
    # argparse would print and exit, past the edge.
    parser = _Parser(prog="nox -s SESSION --", add_help=False, allow_abbrev=False)
    for each in fields(Options):
        _add(parser, each)
    removed: dict[str, Any] = {"nargs": 0, "default": SUPPRESS, "help": SUPPRESS}
    parser.add_argument("--explain-rebase", action=_Removed, **removed)
    return parser


def _add(parser: argparse.ArgumentParser, each: Field[Any]) -> None:
    declared = _declared(each)
    if isinstance(each.default, bool):
        parser.add_argument(_dashed(each.name), action="store_true", help=declared.help)
    elif declared.bare:
        parser.add_argument(each.name, nargs="*", metavar=declared.metavar, help=declared.help)
    else:
        many = isinstance(each.default, tuple)
        parser.add_argument(
            _dashed(each.name),
            action="append" if many else "store",
            default=[] if many else each.default,
            choices=declared.choices,
            metavar=declared.metavar,
            help=declared.help,
        )


def _value(each: Field[Any], given: Any) -> Any:
    if _declared(each).several:
        return tuple(word for text in given for word in text.split())
    return tuple(given) if isinstance(given, list) else given


def _declared(each: Field[Any]) -> _Declaration:
    declaration: _Declaration = each.metadata[_KEY]
    return declaration


def _shown(name: str) -> str:
    """Return an option as it is written on the command line."""
    (each,) = (one for one in fields(Options) if one.name == name)
    return str(_declared(each).metavar) if _declared(each).bare else _dashed(name)


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
