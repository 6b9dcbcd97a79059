"""Run records: ``.aksci/runs/<id>-<session>.json``, one for each session of each run.

All jobs of one CI run, and each attempt at them, may have one id: the second record of a session is
``<id>.2-<session>.json``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from aksci.core.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_run_record"]

_KEEP = 200


def write_run_record(
    work: Path, *, run_id: str, session: str, seconds: float, outcome: str, details: dict[str, Any]
) -> Path:
    """Write what a session decided and did.

    :param outcome: ``"ok"`` or the error's code.
    :param details: inputs, decisions, reasons, durations and digests, as JSON.
    """
    folder = work / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": 1,
        "run": run_id,
        "session": session,
        "seconds": round(seconds, 3),
        "outcome": outcome,
        **details,
    }
    path = _claim(folder, run_id, session)
    write_atomically(path, json.dumps(document, indent=2) + "\n", mode=0o666)
    _prune(folder)
    return path


def _claim(folder: Path, run_id: str, session: str) -> Path:
    """Make the file under a name that no other job of the run has taken."""
    for number in itertools.count(1):
        again = f".{number}" if number > 1 else ""
        path = folder / f"{run_id}{again}-{session}.json"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError  # pragma: no cover - numbers have no end


def _prune(folder: Path) -> None:
    """Remove the oldest. Names don't tell: a run's number may have one digit more than the last."""
    records = list(folder.glob("*.json"))
    if len(records) > _KEEP:
        with contextlib.suppress(FileNotFoundError):  # another job removes some, too
            for old in sorted(records, key=lambda path: path.stat().st_mtime)[:-_KEEP]:
                old.unlink(missing_ok=True)
