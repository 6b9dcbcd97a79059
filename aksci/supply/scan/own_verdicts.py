"""Which verdicts this project's own runs have made: ``.aksci/verdicts.json``.

A verdict in the registry could be anybody's who may push there. One that is named here was made by
a scan of ours, whether it passes or fails; a CI system carries the file to the job that signs, as
it does ``build.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.strict_json import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aksci.core.work_folder import WorkFolder
    from aksci.supply.scan.verdict import Verdict

__all__ = ["made_here", "write_verdict_record"]

_NAME = "verdicts.json"


def write_verdict_record(work: WorkFolder, verdicts: Iterable[Verdict]) -> Path:
    """Write which verdict was made on which image, in place of what stood there."""
    made = {str(one.image): one.stored.digest for one in verdicts if one.stored is not None}
    return work.write_own(_NAME, {"schema": 1, "verdicts": dict(sorted(made.items()))})


def made_here(work: WorkFolder, verdict: Verdict) -> bool:
    """Tell whether a stored verdict is one of ours; a damaged file, or another's, knows of none."""
    try:
        document = work.find_own(_NAME) or {}
        known = document["verdicts"].get(str(verdict.image)) if document["schema"] == 1 else None
    except MALFORMED:
        return False
    return verdict.stored is not None and known == verdict.stored.digest
