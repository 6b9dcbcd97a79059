"""The edge: from a command line to a session in its environment, and to an exit status.

It reports errors, and keeps a record of each run.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shlex
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from aksci.ci.choose import choose_reporter
from aksci.ci.console import ConsoleReporter
from aksci.cli.command_line import CommandLine, asks_for_help
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.core.errors import AksciError, DiskFullError, Interrupted, UsageError
from aksci.core.process import Runner
from aksci.core.text import write_line
from aksci.core.work_folder import WorkFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from aksci.core.reporting import Reporter
    from aksci.core.work_folder import WorkFolder
    from aksci.environment import Environment

__all__ = ["INTERRUPTS", "run_session", "write_run_record"]

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a run: Ctrl-C, a cancelled CI job, a closed terminal."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_RUNS = "runs"
_RECORDS = 200
"""Run records that are kept."""


def run_session(
    session: SessionSpec | str,
    arguments: Sequence[str],
    *,
    folder: Path | None = None,
    line: CommandLine | None = None,
) -> int:
    """Run one session and return its exit status (see ``aksci.core.errors``).

    It prints errors on stderr, without a traceback if the user or the machine caused them.

    :param session: a name means one of ours.
    :param folder: where to look for aksci.toml, upwards. Default: the working directory.
    :param line: the other sessions that get the same arguments. Default: none.
    """
    session = SESSIONS[session] if isinstance(session, str) else session
    if asks_for_help(arguments):
        from aksci.cli.usage import session_usage

        write_line(sys.stdout, session_usage(session).rstrip())
        return 0
    try:
        reporter = choose_reporter(os.environ, sys.stderr)
    except AksciError as error:
        _tell(ConsoleReporter(sys.stderr), error)
        return error.exit_status
    runner = Runner(environment=dict(os.environ), log=reporter.line)
    try:
        with _interruptible(runner):
            given = (line or CommandLine(sessions=(session,))).values_for(session, arguments)
            return _open_and_run(session, given, folder, reporter, runner)
    except AksciError as error:
        _tell(reporter, error)
        return error.exit_status
    except KeyboardInterrupt:
        # No AksciError: what catches Exception on the way here, in libraries too, lets it pass.
        # A second Ctrl-C would leave the programs that this ends.
        with _uninterrupted():
            runner.terminate_all()
        name = session.name
        words = shlex.join(["nox", "-s", name, *(["--", *arguments] if arguments else [])])
        interrupted = Interrupted(
            f"{name} was interrupted; nothing of it is still running.",
            hint=f"{words} continues where it stopped.",
        )
        _tell(reporter, interrupted)
        return interrupted.exit_status
    except OSError as error:
        # A traceback helps to fix aksci; a user needs only the file's name.
        ours = session.noxfile is None
        if error.errno not in _FULL and not (ours and error.filename is not None):
            raise  # not about a file of the user's: a defect, of ours or of their pipeline
        told = _system_fault(error)
        _tell(reporter, told)
        return told.exit_status


def _open_and_run(
    session: SessionSpec,
    given: dict[str, Any],
    folder: Path | None,
    reporter: Reporter,
    runner: Runner,
) -> int:
    from aksci.config.loader import LOCAL
    from aksci.environment import Environment  # with all that reads aksci.toml

    name = given.get("env", LOCAL)
    with Environment.open(name, root=folder, reporter=reporter, runner=runner) as env:
        return _record(session, env, given)


def _record(session: SessionSpec, env: Environment, given: dict[str, Any]) -> int:
    """Run a session, write its record, and return its exit status."""
    from aksci.cli.session_call import call_session

    details: dict[str, Any] = {"environment": env.name}
    outcome = "ok"
    started = time.monotonic()
    try:
        # The record has the outcome; the status is the process's.
        status = call_session(session, env, given)
    except AksciError as error:
        outcome = error.code
        details["error"] = error.message
        raise
    except BaseException:
        # Also Ctrl-C and defects: a record that is missing would look like a run that never was.
        outcome = "interrupted"
        raise
    finally:
        details |= {name: each for name, each in env.notes.items() if name not in details}
        if session.recorded:
            try:
                write_run_record(
                    env.work_folder,
                    run_id=env.run_id,
                    session=session.name,
                    seconds=time.monotonic() - started,
                    outcome=outcome,
                    details=_redacted(details, env.runner),
                )
            except (OSError, WorkFolderError) as error:
                # A full disk fails the session and then its record, too: the first error is the one
                # to tell.
                if outcome == "ok":
                    raise
                env.reporter.warning(f"The run record could not be written: {error}.")
    return status


def _redacted(value: Any, runner: Runner) -> Any:
    """Return what a record says without the secrets that an error or a note may have quoted."""
    if isinstance(value, str):
        return runner.redact(value)
    if isinstance(value, dict):
        return {runner.redact(str(key)): _redacted(one, runner) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(one, runner) for one in value]
    return value


def write_run_record(
    work: WorkFolder,
    *,
    run_id: str,
    session: str,
    seconds: float,
    outcome: str,
    details: dict[str, Any],
) -> Path:
    """Write what a session decided and did: ``.aksci/runs/<id>-<session>.json``.

    All jobs of one CI run, and each attempt at them, may have one id: the second record of a
    session is ``<id>.2-<session>.json``.

    :param outcome: ``"ok"`` or the error's code.
    :param details: inputs, decisions, reasons, durations and digests, as JSON.
    """
    document = {
        "schema": 1,
        "run": run_id,
        "session": session,
        "seconds": round(seconds, 3),
        "outcome": outcome,
    }
    # What became of the run is ours to say, whatever a team's step notes under whichever name.
    document |= {name: each for name, each in details.items() if name not in document}
    # The name is taken before it is written: two jobs that looked for a free one would both find
    # the same.
    name = _claim(work, run_id, session)
    path = work.write(name, json.dumps(document, indent=2) + "\n")
    _prune(work)
    return path


def _claim(work: WorkFolder, run_id: str, session: str) -> str:
    """Make the file under a name that no other job of the run has taken."""
    for number in itertools.count(1):
        again = f".{number}" if number > 1 else ""
        name = f"{_RUNS}/{run_id}{again}-{session}.json"
        if work.claim(name):
            return name
    raise AssertionError  # pragma: no cover - numbers have no end


def _prune(work: WorkFolder) -> None:
    """Remove the oldest, not by name: a run's number may have one digit more than the last."""
    files = work.files(_RUNS)
    records = [name for name in files if name.endswith(".json")]
    for old in sorted(records, key=lambda name: files[name].st_mtime)[:-_RECORDS]:
        work.remove(f"{_RUNS}/{old}")


def _tell(reporter: Reporter, error: AksciError) -> None:
    reporter.error(error.message)
    if error.hint:
        reporter.line(f"\nhint: {error.hint}")


def _system_fault(error: OSError) -> AksciError:
    """Say what the operating system refused: a full disk, a read-only folder, a file in the way."""
    if error.errno in _FULL:
        return DiskFullError(
            f"No space left on the file system of {error.filename or 'a temporary file'}.",
            hint="df -h shows which one is full; free some space and run again.",
        )
    return UsageError(
        f"{error.filename}: {error.strerror}.", hint="aksci writes to .aksci beside aksci.toml."
    )


def _uninterrupted() -> contextlib.AbstractContextManager[None]:
    """Let a second Ctrl-C have no effect while the first is dealt with."""
    return _handling(signal.SIG_IGN)


@contextlib.contextmanager
def _handling(handler: Callable[[int, object], None] | signal.Handlers) -> Iterator[None]:
    """Handle what interrupts so for a while. Only the main thread may; nohup's wish is kept."""
    # Python refuses signal handlers elsewhere. A caller with threads has its own.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # nohup(1) starts a program with SIGHUP ignored: to handle it would end what is to go on.
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    handled = [number for number in INTERRUPTS if not (nohup and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _interruptible(runner: Runner) -> contextlib.AbstractContextManager[None]:
    """Treat SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) as Ctrl-C.

    All programs are stopped at once. Threads that wait for a program then end soon, and with them
    whoever waits for the threads.
    """

    def interrupt(_number: int, _frame: object) -> None:
        # No waiting here: the interrupted code may hold any lock.
        runner.stop()
        raise KeyboardInterrupt

    return _handling(interrupt)
