"""What images say of themselves, remembered on this machine: it never changes for a digest.

It saves requests and decides nothing: an image that is a dependent by what is remembered is asked
for again (a later build may have given the same bytes from newer bases). Still unseen then: an
image that was built again, to the same digest, from something that it did not need before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from aksci.cascade.dependents.image_records import DAMAGE, ImageRecord
from aksci.core.files import write_atomically
from aksci.images.lineage import Lineage, Step

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.oci.references import ImageRef

__all__ = ["LineageCache"]

_SCHEMA = 1
_LARGEST = 1 << 20
"""Bytes of one entry; a larger one is not kept."""


class LineageCache:
    """A folder of small files, one for each image. Several threads and processes may use it.

    A file's name is a hash, so nothing that a registry sends chooses a path. A damaged file, or one
    that can't be read or written, is the same as none.

    :param most: files that are kept by ``prune``.
    """

    def __init__(self, folder: Path, *, most: int = 50_000) -> None:
        self._folder = folder
        self._most = most

    def get(self, ref: ImageRef) -> ImageRecord | None:
        """Return what is remembered of an image."""
        path = self._path(ref)
        try:
            if path.stat().st_size > _LARGEST:
                return None
            document = json.loads(path.read_bytes())
            if (document["schema"], document["image"]) != (_SCHEMA, str(ref)):
                return None
            return _record(document["record"])
        except (OSError, *DAMAGE):
            return None

    def put(self, ref: ImageRef, record: ImageRecord) -> None:
        """Remember an image."""
        document = {"schema": _SCHEMA, "image": str(ref), "record": dataclasses.asdict(record)}
        content = json.dumps(document)  # ASCII: a record may hold half of a surrogate pair
        if len(content) > _LARGEST:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._path(ref), content)

    def prune(self) -> None:
        """Delete the oldest files where there are too many."""
        with contextlib.suppress(OSError):
            paths = list(self._folder.glob("*.json"))
            if len(paths) > self._most:
                paths.sort(key=lambda path: path.stat().st_mtime)
                for path in paths[: -self._most]:
                    path.unlink(missing_ok=True)

    def _path(self, ref: ImageRef) -> Path:
        # The repository counts: what refers to an image does so in one repository.
        return self._folder / f"{hashlib.sha256(str(ref).encode()).hexdigest()}.json"


def _record(document: dict[str, Any]) -> ImageRecord:
    lineage = document["lineage"]
    base = document["base"]
    if not isinstance(document["image"], bool):
        raise TypeError(document["image"])
    return ImageRecord(
        image=document["image"],
        base=None if base is None else (str(base[0]), str(base[1])),
        lineage=None if lineage is None else _lineage(lineage),
    )


def _lineage(document: dict[str, Any]) -> Lineage:
    steps = tuple(
        Step(keyword=one["keyword"], hash=one["hash"], lines=(one["lines"][0], one["lines"][1]))
        for one in document["steps"]
    )
    mappings = [document[name] for name in ("source", "parents", "edges")]
    if not all(isinstance(one, dict) for one in (*mappings, *document["edges"].values())):
        raise TypeError(document)
    known = {one.name for one in dataclasses.fields(Lineage)}  # an older aksci knew of more
    kept = {name: value for name, value in document.items() if name in known}
    return Lineage(**{**kept, "steps": steps})
