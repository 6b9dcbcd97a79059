"""Run records: ``.aksci/runs/<id>-<session>.json``, one for each session of each run."""

from __future__ import annotations

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
    path = folder / f"{run_id}-{session}.json"
    write_atomically(path, json.dumps(document, indent=2) + "\n", mode=0o666)
    for old in sorted(folder.glob("*.json"))[:-_KEEP]:
        old.unlink(missing_ok=True)
    return path
