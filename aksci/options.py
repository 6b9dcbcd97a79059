"""The command line, the same for every session: nox hands all of them one list of arguments."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

from aksci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BUILD_STAGES", "Options", "parse_options", "require_known", "usage"]

BUILD_STAGES = ("build", "scan", "sign", "push")
"""The steps of ``build`` in order; each is also a session."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, beyond the session's name."""

    env: str = "local"
    format: str = "text"
    plan: bool = False
    force: tuple[str, ...] = ()
    until: str = BUILD_STAGES[-1]
    release: str | None = None
    to: str | None = None
    purge: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}.", hint="python -m aksci --help lists sessions and options.")


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the arguments after ``--``.

    :raises UsageError: one is unknown or wrong.
    """
    values = vars(_parser().parse_args(list(arguments)))
    values["force"] = tuple(values["force"])
    return Options(**values)


def require_known(
    session: str, options: Options, accepted: frozenset[str], *, shared: bool
) -> None:
    """Refuse an option that the session would ignore: ``rollback --until scan`` means nothing.

    :param shared: the arguments are for several sessions, as nox hands them out: then only
        ``--plan`` is refused, since a session that ignores it would act.
    :raises UsageError: one was given that is not for this session.
    """
    given = {
        each.name
        for each in fields(Options)
        if getattr(options, each.name) != each.default and each.name != "env"
    }
    if shared:
        given &= {"plan"}
    if given - accepted:
        names = ", ".join(f"--{name}" for name in sorted(given - accepted))
        known = ", ".join(f"--{name}" for name in sorted({*accepted, "env"}))
        raise UsageError(f"{names} means nothing to {session!r}; it takes {known}.")


def usage() -> str:
    """Return the help text of the options."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nox -s SESSION --", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--env", default="local", metavar="NAME", help="environment of aksci.toml (default: local)")
    add("--format", default="text", choices=("text", "json"), help="plan, graph, status")
    add("--plan", action="store_true", help="build, deploy: show what would be done, and stop")
    add(
        "--force",
        action="append",
        default=[],
        metavar="IMAGE",
        help="build: build it even if it is published; repeatable",
    )
    add(
        "--until",
        default=BUILD_STAGES[-1],
        choices=BUILD_STAGES,
        help="build: stop after this step, so that CI jobs can hold separate identities",
    )
    add("--release", metavar="REF", help="deploy: registry/repository@sha256:… (default: the last)")
    add("--to", metavar="REF", help="rollback: release to go back to (default: the previous one)")
    add("--purge", action="store_true", help="down: delete images and cluster data too")
    return parser
