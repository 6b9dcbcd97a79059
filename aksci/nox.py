"""Sessions for a team's noxfile: ours, by ``register``, and its own, by ``session``."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox

from aksci.cli.option import DeclaredOption, Option
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.core.errors import ConfigError
from aksci.core.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from aksci.cli.command_line import CommandLine

__all__ = ["Option", "register", "session"]

_DEFAULT = ("build", "deploy")
"""Sessions that plain ``nox`` runs."""
_SPEC = "aksci_session"
"""The attribute that marks a nox session's function as aksci's."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_projects: dict[Path, str] = {}
"""Noxfile -> the folder passed to ``register``. It is read when a session runs."""


def register(
    project: str | None = None,
    *,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
) -> None:
    """Add the ready-made sessions to the noxfile that calls this.

    The sessions have no virtual environment of their own (``python=False``), import their pipeline
    when they run, and stop at the first that fails: ``nox -s build deploy`` never deploys what did
    not build. ``nox`` alone runs these two, if both are there.

    :param project: the folder of aksci.toml, relative to the noxfile, for the noxfile's own
        sessions, too. Default: the noxfile's own.
    :param exclude: sessions that are left out.
    :param only: no others than these.
    :raises ConfigError: there is no such session.
    """
    noxfile = _caller()
    _require_several(noxfile, "register", exclude=exclude, only=only)
    for name in [*exclude, *(only or ())]:
        _require_session(noxfile, name)
    wanted = [
        each
        for each in SESSIONS.values()
        if each.name not in exclude and (only is None or each.name in only)
    ]
    _projects[noxfile] = project or ""
    if set(_DEFAULT) <= {each.name for each in wanted}:
        nox.options.sessions = list(_DEFAULT)
    elif not _usage_is_asked_for():  # nox tells none where it would run nothing
        nox.options.sessions = []
    for spec in wanted:
        if not _is_own(_registered(spec.name)):
            _add(spec, noxfile)


def session(
    target: str,
    *,
    name: str | None = None,
    options: Sequence[str | Option] = (),
    summary: str | None = None,
    recorded: bool = True,
) -> None:
    """Add a pipeline of the team's own to the noxfile that calls this, beside ours.

    One that is called like one of ours takes its place, whichever is added first.

    ::

        canary = Option(name="canary", flag=True, help="shift a tenth of the traffic first")
        session("pipelines.ship:ship", options=("only", canary))

    is ``nox -s ship -- --only web --canary``, and calls ``ship(env, only=("web",), canary=True)``.
    The module is imported when the session runs, with the noxfile's folder first on
    ``sys.path``. Errors of aksci are printed without a traceback, others with one.

    :param target: ``module:function``. The function takes an ``Environment``, and its options by
        name; it returns None, or an exit status.
    :param name: of the session. Default: the function's.
    :param options: names of options that ours have, and options of its own. All sessions have
        ``--env``.
    :param summary: a sentence for ``nox -l``.
    :param recorded: keep a record of each run in ``.aksci/runs``.
    :raises ConfigError: the name is taken or not allowed; an option does not exist, or is named
        twice.
    """
    noxfile = _caller()
    _require_several(noxfile, "session", options=options)
    name = name or target.rpartition(":")[2]
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{noxfile}: {name!r} can't be a session's name: run records are named after it.",
            hint="use letters, digits, '_', '.' and '-'; the last two not at its start.",
        )
    if _is_own(_registered(name)):
        raise ConfigError(
            f"{noxfile}: there are two sessions {name!r}.",
            hint="rename one of them: session(…, name=…).",
        )
    spec = SessionSpec(
        name=name,
        summary=summary or f"Run {target}.",
        target=target,
        options=tuple(each for each in options if isinstance(each, str)),
        own=tuple(DeclaredOption.of(each) for each in options if isinstance(each, Option)),
        recorded=recorded,
        noxfile=noxfile,
    )
    _require_options(noxfile, spec)
    _add(spec, noxfile)


def _caller() -> Path:
    """Return the noxfile that calls ``register`` or ``session``."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame and frame.f_back
    return Path(frame.f_code.co_filename if frame else "noxfile.py").resolve()


def _require_several(noxfile: Path, called: str, **given: object) -> None:
    """Refuse a string in place of several names: Python would read each letter as a name."""
    for parameter, value in given.items():
        if isinstance(value, str):
            raise ConfigError(
                f"{noxfile}: {called}(…, {parameter}={value!r}): it takes names, not a string.",
                hint=f"{parameter}=[{value!r}]",
            )


def _require_session(noxfile: Path, name: str) -> None:
    if name not in SESSIONS:
        raise ConfigError(f"{noxfile}: there is no session {name!r}.{_meant(name, SESSIONS)}")


def _registered(name: str) -> SessionSpec | None:
    """Return the session of aksci that nox has under a name."""
    found = getattr(nox.registry.get().get(name), _SPEC, None)
    return found if isinstance(found, SessionSpec) else None


def _is_own(spec: SessionSpec | None) -> bool:
    """Return whether a session is the team's own."""
    return spec is not None and spec.noxfile is not None


def _require_options(noxfile: Path, spec: SessionSpec) -> None:
    if not spec.options and not spec.own:
        return
    from aksci.cli.options import OPTIONS  # ours alone need no check

    for name in spec.options:
        if name not in OPTIONS:
            raise ConfigError(
                f"{noxfile}: session {spec.name!r}: there is no option {name!r}."
                f"{_meant(name, OPTIONS)}",
                hint=f"An option of your own is Option(name={name!r}, help=…).",
            )
    names = [*spec.options, *(option.name for option in spec.own)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{noxfile}: session {spec.name!r}: it has two options {name!r}.")
    for option in spec.own:
        if option.name in OPTIONS:
            raise ConfigError(
                f"{noxfile}: session {spec.name!r}: {option.written} is an option of ours.",
                hint=f"use it, by its name {option.name!r}, or rename yours.",
            )


def _meant(word: str, known: Collection[str]) -> str:
    from aksci.cli.command_line import did_you_mean

    return did_you_mean(word, known)


def _keep_libraries_quiet() -> None:
    """Let nox go on logging, and others only from WARNING: nox shows everything of everybody."""
    root, own = logging.getLogger(), logging.getLogger("nox")
    own.setLevel(own.level or root.level)
    root.setLevel(max(root.level, logging.WARNING))


def _add(spec: SessionSpec, noxfile: Path) -> None:
    run = _session(spec, noxfile)
    run.__doc__ = encodable(_doc(spec), sys.stdout)
    setattr(run, _SPEC, spec)
    nox.options.stop_on_first_error = True
    taken = nox.registry.get().get(spec.name)
    if taken is None or not hasattr(taken, _SPEC):
        nox.session(python=False, name=spec.name)(run)
        return
    # A team's takes the place of ours. To register the name once more is deprecated by nox.
    functools.update_wrapper(taken, run)
    taken.func = run


def _doc(spec: SessionSpec) -> str:
    """Return what ``nox -l`` shows, or ``nox --usage``, for which nox has nothing but this text."""
    if not _usage_is_asked_for():
        return spec.summary
    from aksci.cli.usage import session_usage

    return session_usage(spec)


def _usage_is_asked_for() -> bool:
    return any(word.startswith("--usage") for word in sys.argv)


def _session(spec: SessionSpec, noxfile: Path) -> Callable[[nox.Session], None]:
    def run(session: nox.Session) -> None:
        # Here, and not above: `nox -l` imports this module too (a test holds it).
        from aksci.cli.edge import run_session
        from aksci.core.errors import WORK_TO_DO, Interrupted

        _keep_libraries_quiet()
        folder = noxfile.parent / _projects.get(noxfile, "")
        line = _line_of(session, spec)
        status = run_session(spec, session.posargs, folder=folder, line=line)
        if status == Interrupted.exit_status:
            # So nox stops as well; a failed session would be one of several in its summary.
            raise KeyboardInterrupt
        if status:
            what = "found work to do" if status == WORK_TO_DO else "failed"
            session.error(f"{spec.name} {what} (exit status {status})")

    return run


def _line_of(session: nox.Session, spec: SessionSpec) -> CommandLine:
    """Find out which sessions nox hands the same arguments: waiting, running or done.

    nox has no public way to ask. What this relies on is there in 2025.5.1, the oldest that we take,
    and in 2026.10.20: ``Session._runner``; a runner's ``manifest``, ``posargs``, ``func`` (which
    has the attributes of our function) and ``global_config``; ``Manifest.list_all_sessions``, and
    ``in`` for those that were chosen, however, needed by others, or notified. ``notify`` may have
    given a session arguments of its own.

    Where that is gone, and in a worker of ``nox --parallel``, which knows only one session,
    others may take part: then what is not ours is not refused.
    """
    from aksci.cli.command_line import CommandLine

    alone = CommandLine(sessions=(spec,), others=True)
    try:
        runner = session._runner  # noqa: SLF001 - see above
        if getattr(runner.global_config, "parallel_worker", False):
            return alone
        specs = [
            getattr(each.func, _SPEC, None)
            for each, _ in runner.manifest.list_all_sessions()
            if each in runner.manifest and each.posargs == runner.posargs
        ]
    except (AttributeError, TypeError, ValueError):
        return alone
    ours = tuple(each for each in specs if isinstance(each, SessionSpec))
    return CommandLine(sessions=ours, others=len(ours) < len(specs)) if spec in ours else alone
