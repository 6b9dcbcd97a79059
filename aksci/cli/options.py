"""The command line, the same for every session: nox hands all of them one list of arguments."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BUILD_STAGES",
    "FORMATS",
    "WORK_TO_DO",
    "Options",
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


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, beyond the session's name."""

    env: str = "local"
    format: str = "text"
    plan: bool = False
    words: tuple[str, ...] = ()
    """What stands without an option's name: an image, references, what to do."""
    force: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    with_dependents: bool = False
    keep_going: bool = False
    output: str | None = None
    save: str | None = None
    compare: str | None = None
    matrix: str | None = None
    group: str = "image"
    exit_code: bool = False
    until: str = BUILD_STAGES[-1]
    release: str | None = None
    to: str | None = None
    purge: bool = False
    base: tuple[str, ...] = ()
    batch: bool = False
    registry_wide: bool = False


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
        raise UsageError(f"{message}.", hint="python -m aksci --help lists sessions and options.")


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the arguments after ``--``.

    :raises UsageError: one is unknown or wrong.
    """
    values = vars(_parser().parse_args(list(arguments)))
    for name in ("force", "only", "words"):
        values[name] = tuple(values[name])
    values["base"] = tuple(word for text in values["base"] for word in text.split())
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
        names = ", ".join(_shown(name) for name in sorted(given - accepted))
        known = ", ".join(_shown(name) for name in sorted({*accepted, "env"}))
        raise UsageError(f"{names} means nothing to {session!r}; it takes {known}.")


def _shown(name: str) -> str:
    """Return an option as it is written on the command line."""
    return "WORD" if name == "words" else f"--{name.replace('_', '-')}"


def usage() -> str:
    """Return the help text of the options."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nox -s SESSION --", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--env", default="local", metavar="NAME", help="environment of aksci.toml (default: local)")
    add("--format", default="text", choices=FORMATS, help="what to show as, where a session can")
    add(
        "--plan",
        action="store_true",
        help="build, cascade, deploy: show what would be done, and stop",
    )
    add(
        "--force",
        action="append",
        default=[],
        metavar="IMAGE",
        help="build: build it even if it is published; repeatable",
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="IMAGE",
        help="plan, build: this image and what it needs; repeatable",
    )
    add(
        "--with-dependents",
        action="store_true",
        help="plan, build: with --only, also all that is built on those images",
    )
    add(
        "--keep-going",
        action="store_true",
        help="build: when images failed, still take the others through validate, scan and sign",
    )
    add("--output", metavar="PATH", help="write there, not to stdout; export: the folder")
    add("--save", metavar="FILE", help="plan: keep the plan, to compare it later")
    add("--compare", metavar="FILE", help="plan: show what differs from a plan that was kept")
    add(
        "--matrix",
        choices=("github", "azure"),
        help="plan: hand the jobs of a CI matrix to later jobs, as this CI system wants it",
    )
    add(
        "--group",
        default="image",
        choices=("image", "component"),
        help="plan --matrix: one job an image, or one for images that need each other",
    )
    add(
        "--exit-code",
        action="store_true",
        help="plan, cascade --plan: end with status 20 if there is work to do",
    )
    add(
        "words",
        nargs="*",
        metavar="WORD",
        help="why: the image; verify: a reference; release: show, diff or list, and references; "
        "export: acr-tasks",
    )
    add(
        "--until",
        default=BUILD_STAGES[-1],
        choices=BUILD_STAGES,
        help="build: stop after this step, so that CI jobs can hold separate identities",
    )
    add(
        "--release",
        metavar="REF",
        help="deploy, promote: registry/repository@sha256:… (default: the last)",
    )
    add("--to", metavar="REF", help="rollback: release to go back to (default: the previous one)")
    add("--purge", action="store_true", help="down: delete images and cluster data too")
    add(
        "--base",
        action="append",
        default=[],
        metavar="REF",
        help="cascade: only what follows from this image; repeatable, or several with spaces",
    )
    add("--batch", action="store_true", help="cascade: take what waits for the next batch, too")
    add("--explain-rebase", action=_Removed, nargs=0, default=SUPPRESS, help=SUPPRESS)
    add(
        "--registry-wide",
        action="store_true",
        help="cascade: also what other repositories of the registry have built on it",
    )
    return parser
