"""``python -m aksci [-C FOLDER] SESSION [options]``: sessions without nox, exit statuses."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from aksci import __version__
from aksci.cli.sessions import SESSIONS
from aksci.core.errors import Interrupted, UsageError
from aksci.core.text import write_line

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one session; return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    folder = None
    if words[:1] == ["-C"] and len(words) > 1:
        folder, words = Path(words[1]), words[2:]
    if words[:1] == ["--version"]:
        write_line(sys.stdout, f"aksci {__version__}")
        return 0
    if not words or words[0] in {"-h", "--help"}:
        write_line(sys.stdout, _help())
        return 0 if words else UsageError.exit_status
    if words[0] not in SESSIONS:
        write_line(sys.stderr, f"error: {_unknown(words[0])}")
        return UsageError.exit_status
    from aksci.cli.edge import INTERRUPTS, run_session

    status = run_session(words[0], words[1:], folder=folder)
    if status == Interrupted.exit_status:
        for number in INTERRUPTS:  # we end: pressed again, it changes nothing
            signal.signal(number, signal.SIG_IGN)
    return status


def _help() -> str:
    from aksci.cli.usage import sessions_usage

    return sessions_usage().rstrip()


def _unknown(word: str) -> str:
    from aksci.cli.command_line import did_you_mean

    return (
        f"there is no session {word!r}.{did_you_mean(word, SESSIONS)}\n\n"
        "hint: python -m aksci --help lists the sessions. A noxfile's own sessions run with nox."
    )


if __name__ == "__main__":
    sys.exit(main())
