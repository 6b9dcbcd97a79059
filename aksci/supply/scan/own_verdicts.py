"""Which verdicts this project's own runs have made: ``.aksci/verdicts.json``.

A verdict in the registry could be anybody's who may push there. One that is named here was made by
a scan of ours; a CI system carries the file to the job that signs, as it does ``build.json``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aksci.supply.scan.verdict import Verdict

__all__ = ["made_here", "write_verdict_record"]

_NAME = "verdicts.json"


def write_verdict_record(work: Path, verdicts: Iterable[Verdict]) -> Path:
    """Write which verdict was made on which image, in place of what stood there."""
    made = {str(one.image): one.stored.digest for one in verdicts if one.stored is not None}
    work.mkdir(parents=True, exist_ok=True)
    path = work / _NAME
    document = {"schema": 1, "verdicts": dict(sorted(made.items()))}
    write_atomically(path, json.dumps(document, indent=2) + "\n", mode=0o666)
    return path


def made_here(work: Path, verdict: Verdict) -> bool:
    """Tell whether a stored verdict is one of ours; a damaged file knows of none."""
    try:
        document = parse_json((work / _NAME).read_bytes())
        known = document["verdicts"].get(str(verdict.image)) if document["schema"] == 1 else None
    except (OSError, *MALFORMED):
        return False
    return verdict.stored is not None and known == verdict.stored.digest
