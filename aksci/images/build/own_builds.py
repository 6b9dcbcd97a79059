"""Which finished builds this project's own runs have made: ``.aksci/built.json``.

The tag of an input key could be anybody's who may push, so what is not signed yet is trusted only
if it is named there; everything else is trusted by its signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.strict_json import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.core.work_folder import WorkFolder
    from aksci.images.build.build_record import BuiltImage
    from aksci.oci.references import ImageRef

__all__ = ["OwnBuilds", "read_own_builds", "write_own_builds"]


_BUILT = "built.json"
_BUILT_SCHEMA = 2


@dataclass(frozen=True)
class OwnBuilds:
    """Digest references of builds made here, with their input keys: several can give one digest."""

    keys: Mapping[str, frozenset[str]]

    def has(self, ref: ImageRef, key: str) -> bool:
        """Tell whether a run of ours has built this digest of this input key."""
        return key in self.keys.get(str(ref), ())


def read_own_builds(work: WorkFolder) -> OwnBuilds:
    """Read the file; after one that is damaged, missing or not ours, no unsigned build counts."""
    try:
        document = work.find_own(_BUILT) or {}
        known = {str(ref): frozenset(map(str, keys)) for ref, keys in document["images"].items()}
        return OwnBuilds(known if document["schema"] == _BUILT_SCHEMA else {})
    except MALFORMED:
        return OwnBuilds({})


def write_own_builds(
    work: WorkFolder, before: OwnBuilds, images: Iterable[BuiltImage]
) -> OwnBuilds:
    """Remember what a run has built, and of what earlier ones have, what it reused."""
    kept: dict[str, set[str]] = {}
    for image in images:
        if image.made or before.has(image.ref, image.input_key):
            kept.setdefault(str(image.ref), set()).add(image.input_key)
    document = {
        "schema": _BUILT_SCHEMA,
        "images": {ref: sorted(keys) for ref, keys in sorted(kept.items())},
    }
    work.write_own(_BUILT, document)
    return OwnBuilds({ref: frozenset(keys) for ref, keys in kept.items()})
