"""The layers of base images, by which a finding is the base's or our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError
from aksci.core.strict_json import parse_json
from aksci.core.text import short_line
from aksci.oci.manifest import Descriptor
from aksci.oci.registry import read_child, read_configuration

if TYPE_CHECKING:
    from aksci.core.reporting import Reporter
    from aksci.oci.manifest import Manifest, Platform
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
    except RegistryError as error:
        first = str(error).partition("\n")[0]
        reporter.line(f"the layers of the base {base} can't be read: {first}")
        layers = None
    return BaseLayers(digest=base.digest, layers=layers)


def platforms_of(index: Manifest) -> list[tuple[str, str]]:
    """Return digest and ``os/arch`` of each image in an index; BuildKit's attestations are none.

    :raises DamagedInRegistry: the index is damaged.
    """
    try:
        parse_json(index.content, exact=True)  # Go, which runs the image, must read the same
    except ValueError as error:
        raise index.damaged(str(error)) from None
    return [(each.digest, platform_name(each.platform)) for each in index.images]


def platform_name(platform: Platform | None) -> str:
    """Return ``os/arch`` or ``os/arch/variant``, to be printed."""
    return short_line(platform.name) if platform else ""


def _layers(registry: Registry, base: ImageRef, platform: str) -> tuple[str, ...] | None:
    manifest = registry.manifest(base.repository, base.digest)
    if manifest.is_index:
        chosen = _choose(platforms_of(manifest), platform)
        if chosen is None:
            return None
        manifest = read_child(registry, base.repository, Descriptor(digest=chosen))
    return read_configuration(registry, base.repository, manifest).diff_ids


def _choose(listed: list[tuple[str, str]], platform: str) -> str | None:
    """Return the digest for a platform; a variant that only one side tells is no matter."""
    exact = [digest for digest, name in listed if platform in {name, ""}]
    parts = platform.split("/")[:2]
    alike = [digest for digest, name in listed if name.split("/")[:2] == parts]
    return next((found[0] for found in (exact, alike) if len(found) == 1), None)
