"""Which images failed in the last builds: ``.aksci/failed.json``. It explains, and decides nothing.

``{"IMAGE": {"key": …, "error": …, "run": …}}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Failure", "read_failures", "update_failures"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One image that did not build."""

    key: str | None
    """Its input key; None where it failed before that was known."""
    error: str
    """The first line."""
    run: str


def read_failures(work: Path) -> dict[str, Failure]:
    """Return the failures by image; none where the file is missing or damaged."""
    try:
        document = json.loads((work / "failed.json").read_text(encoding="utf-8"))
        return {name: _failure(entry) for name, entry in document.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def update_failures(
    work: Path, failed: Mapping[str, Failure], *, succeeded: Iterable[str], known: Iterable[str]
) -> None:
    """Enter new failures, and take out what has succeeded since or is no image any more.

    :param known: all images of the project.
    """
    before = read_failures(work)
    kept = {name: before[name] for name in before.keys() & set(known) - set(succeeded)}
    after = dict(sorted({**kept, **failed}.items()))
    if after == before:
        return
    document = {
        name: {"key": one.key, "error": one.error, "run": one.run} for name, one in after.items()
    }
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(work / "failed.json", json.dumps(document, indent=2) + "\n", mode=0o666)


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(key=entry["key"], error=entry["error"], run=entry["run"])
