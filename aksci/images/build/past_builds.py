"""Why this project's own runs built an image, by the records in ``.aksci`` that they left.

A record of another machine is not here. It explains, and decides nothing.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aksci.images.reasons import Reason

__all__ = ["recorded_reasons"]

_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def recorded_reasons(work: Path, run: str, image: str, digest: str) -> tuple[Reason, ...]:
    """Return why a run built a digest of an image; nothing where no record here says it.

    :param work: the project's ``.aksci`` folder.
    :param run: as the registry tells it: anybody may have written that.
    """
    for path in (work / "build.json", work / "cascade.json", *_run_records(work, run)):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["run"] != run:
                continue
            for entry in _images(document):
                if entry["image"] == image and _digest(entry) == digest and entry["reasons"]:
                    return tuple(entry["reasons"])
        except _DAMAGE:
            continue
    return ()


def _run_records(work: Path, run: str) -> list[Path]:
    """Return the records of a run's sessions, the last first: a run may build several times."""
    found = [path for path in (work / "runs").glob("*.json") if path.name.startswith(run)]
    with contextlib.suppress(FileNotFoundError):  # another session removes old ones
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return found


def _images(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the images of a build's or cascade's own file, or of the record of the session."""
    for part in (document, document.get("build", {}), document.get("cascade", {})):
        images = part.get("images", [])
        if isinstance(images, dict):
            images = [{"image": name, **entry} for name, entry in images.items()]
        yield from images


def _digest(entry: Mapping[str, Any]) -> str:
    return str(entry.get("digest") or entry.get("after") or entry.get("ref", "").rpartition("@")[2])
