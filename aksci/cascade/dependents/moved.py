"""What moved, and whether a recorded digest is what it means now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.cascade.dependents.image_records import DAMAGE
from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.images.build.finished import content_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.cascade.dependents.recorded_names import Names, TagName
    from aksci.cascade.dependents.survey import Reader
    from aksci.oci.registry import Registry

__all__ = ["Moved"]


class Moved:
    """The references that moved.

    :param moved: full reference -> the digest that it means now.
    """

    def __init__(
        self, registry: Registry, names: Names, moved: Mapping[str, str], reader: Reader
    ) -> None:
        self._registry = registry
        self._reader = reader
        places = {names.place(reference): digest for reference, digest in moved.items()}
        self._current = {place: digest for place, digest in places.items() if place}
        self._same: dict[TagName, frozenset[str]] = {}

    def now(self, place: TagName, recorded: str) -> str | None:
        """Return what a reference means now where that is not what was recorded."""
        current = self._current.get(place)
        if current is None or recorded == current or recorded in self._same_as(place, current):
            return None
        return current

    def __contains__(self, place: object) -> bool:
        return place in self._current

    def _same_as(self, place: TagName, current: str) -> frozenset[str]:
        """Return the digests by which the same image may have been recorded.

        Some tools record the digest of one platform's manifest, and the lineage of a project's own
        images has their ``content_identity``. Of an image in another registry, only its own digest
        is known.
        """
        if place not in self._same:
            self._same[place] = frozenset() if place.registry else self._read(place, current)
        return self._same[place]

    def _read(self, place: TagName, current: str) -> frozenset[str]:
        where = f"{place.repository}@{current}"
        try:
            manifest = self._registry.manifest(place.repository, current)
            entries = json.loads(manifest.content).get("manifests") or []
            listed = [str(entry["digest"]) for entry in entries]
            return frozenset({*listed, content_identity(manifest)})
        except NotFoundInRegistry:
            return frozenset()
        except RegistryError as error:
            self._reader.problem(where, error.message, error=True, hint=error.hint)
        except DAMAGE:
            self._reader.problem(where, "it is damaged", error=False)
        return frozenset()
