"""Register aksci's sessions in a user's noxfile."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import nox

from aksci.cli.sessions import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["register"]


def register(project: str | None = None) -> None:
    """Add every session of ``aksci.cli.sessions`` to the noxfile that calls this.

    The sessions have no virtual environment of their own (``python=False``), import their pipeline
    when they run, and stop at the first that fails: ``nox -s build deploy`` never deploys what did
    not build.

    :param project: the folder of aksci.toml, relative to the noxfile. Default: the noxfile's own.
    """
    noxfile = Path(inspect.stack()[1].filename).resolve()
    folder = noxfile.parent / project if project else noxfile.parent
    nox.options.stop_on_first_error = True
    nox.options.sessions = ["build", "deploy"]
    for name, spec in SESSIONS.items():
        nox.session(python=False, name=name)(_session(name, spec.summary, folder))


def _keep_libraries_quiet() -> None:
    """Let nox go on logging, and others only from WARNING: nox shows everything of everybody."""
    root, own = logging.getLogger(), logging.getLogger("nox")
    own.setLevel(own.level or root.level)
    root.setLevel(max(root.level, logging.WARNING))


def _session(name: str, summary: str, folder: Path) -> Callable[[nox.Session], None]:
    def session(session: nox.Session) -> None:
        # Here, and not above: `nox -l` imports this module too (a test holds it).
        from aksci.cli.edge import run_session
        from aksci.cli.options import WORK_TO_DO
        from aksci.core.errors import Interrupted

        _keep_libraries_quiet()
        status = run_session(name, session.posargs, folder=folder, shared=True)
        if status == Interrupted.exit_status:
            # So nox stops as well; a failed session would be one of several in its summary.
            raise KeyboardInterrupt
        if status:
            what = "found work to do" if status == WORK_TO_DO else "failed"
            session.error(f"{name} {what} (exit status {status})")

    # What `nox -l` shows.
    session.__doc__ = summary
    return session
