"""The layers of base images, by which a finding is the base's or our own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import RegistryError
from aksci.core.text import short_line

if TYPE_CHECKING:
    from aksci.core.reporting import Reporter
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["BaseLayers", "platform_name", "platforms_of", "read_base"]


@dataclass(frozen=True, kw_only=True)
class BaseLayers:
    """A base image on one platform."""

    digest: str
    """Of the base, as it was built on: part of a verdict's key."""
    layers: tuple[str, ...] | None
    """DiffIDs, lowest first; None: they can't be read."""


def read_base(
    registry: Registry, base: ImageRef, platform: str, *, reporter: Reporter
) -> BaseLayers:
    """Read a base's layers from its configuration. Image specification 1.1, "OCI Image Config".

    :param platform: ``os/arch[/variant]``, where the base is an index; empty: its only one.
    """
    try:
        layers = None if base.registry != registry.host else _layers(registry, base, platform)
    except (RegistryError, ValueError, KeyError, TypeError, AttributeError) as error:
        first = str(error).partition("\n")[0]
        reporter.line(f"the layers of the base {base} can't be read: {first}")
        layers = None
    return BaseLayers(digest=base.digest, layers=layers)


def platforms_of(index: bytes) -> list[tuple[str, str]]:
    """Return digest and ``os/arch`` of each image in an index; BuildKit's attestations are none.

    :raises ValueError: the index is damaged.
    """
    found = []
    try:
        for entry in json.loads(index, object_pairs_hook=_in_one_way)["manifests"]:
            platform = entry.get("platform") or {}
            # Nothing runs such an entry, so it can hide no image from the scan.
            if (platform.get("os"), platform.get("architecture")) != ("unknown", "unknown"):
                found.append((str(entry["digest"]), platform_name(platform)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from None
    return found


def _in_one_way(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse keys that differ in case only: Go, which runs the image, takes them for the same."""
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        msg = "it can be read in two ways"
        raise ValueError(msg)
    return dict(pairs)


def platform_name(platform: dict[str, Any]) -> str:
    """Return ``os/arch`` or ``os/arch/variant``."""
    parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return short_line("/".join(str(part) for part in parts if part))


def _layers(registry: Registry, base: ImageRef, platform: str) -> tuple[str, ...] | None:
    document = json.loads(registry.manifest(base.repository, base.digest).content)
    if "manifests" in document:
        listed = platforms_of(json.dumps(document).encode())
        chosen = _choose(listed, platform)
        if chosen is None:
            return None
        document = json.loads(registry.manifest(base.repository, chosen).content)
    config = json.loads(registry.blob(base.repository, document["config"]["digest"]))
    return tuple(str(layer) for layer in config["rootfs"]["diff_ids"])


def _choose(listed: list[tuple[str, str]], platform: str) -> str | None:
    """Return the digest for a platform; a variant that only one side tells is no matter."""
    exact = [digest for digest, name in listed if platform in {name, ""}]
    parts = platform.split("/")[:2]
    alike = [digest for digest, name in listed if name.split("/")[:2] == parts]
    return next((found[0] for found in (exact, alike) if len(found) == 1), None)
