"""``python -m aksci [-C FOLDER] SESSION [options]``: sessions without nox, exit statuses."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from aksci import __version__
from aksci.cli.sessions import SESSIONS
from aksci.core.errors import Interrupted, UsageError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one session; return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    folder = None
    if words[:1] == ["-C"] and len(words) > 1:
        folder, words = Path(words[1]), words[2:]
    if words[:1] == ["--version"]:
        sys.stdout.write(f"aksci {__version__}\n")
        return 0
    if not words or {"-h", "--help"} & set(words):
        sys.stdout.write(_help())
        return 0 if words else UsageError.exit_status
    if words[0] not in SESSIONS:
        sys.stderr.write(f"error: there is no session {words[0]!r}.\n\n{_help()}")
        return UsageError.exit_status
    from aksci.cli.edge import INTERRUPTS, run_session

    status = run_session(words[0], words[1:], folder=folder)
    if status == Interrupted.exit_status:
        for number in INTERRUPTS:  # we end: pressed again, it changes nothing
            signal.signal(number, signal.SIG_IGN)
    return status


def _help() -> str:
    from aksci.cli.options import usage

    width = max(map(len, SESSIONS))
    sessions = "\n".join(f"  {name:{width}}  {spec.summary}" for name, spec in SESSIONS.items())
    options = usage().split("\n\n", 1)[-1]
    line = "usage: python -m aksci [-C FOLDER] SESSION [options]"
    return f"{line}\n\nsessions:\n{sessions}\n\n{options}"


if __name__ == "__main__":
    sys.exit(main())
