"""What the registry says about an image: for which platforms it is, and what each one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, ValidationError
from aksci.oci.registry import read_child, read_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.oci.manifest import Manifest
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["configurations"]


def configurations(registry: Registry, name: str, ref: ImageRef) -> dict[str, Mapping[str, Any]]:
    """Return the configuration of each platform's image: ``linux/amd64`` -> document.

    Attestations in an index are no platform (BuildKit, "Attestation storage"). Variants of one
    architecture count as that architecture; the first one stands for it.

    :raises ValidationError: it is no container image.
    """
    found: dict[str, Mapping[str, Any]] = {}
    try:
        manifest = registry.manifest(ref.repository, ref.digest)
        for one in _platforms(registry, ref, manifest):
            config = read_configuration(registry, ref.repository, one)
            system, machine = config.platform.os, config.platform.architecture
            if not (system and machine):
                raise one.damaged("its configuration names no platform")
            found.setdefault(f"{system}/{machine}", config.document)
    except DamagedInRegistry:
        found = {}
    if not found:
        raise ValidationError(f"{name}: {ref} is no container image that could be run.")
    return found


def _platforms(registry: Registry, ref: ImageRef, manifest: Manifest) -> Iterator[Manifest]:
    if not manifest.is_index:
        yield manifest
    for entry in manifest.images:
        yield read_child(registry, ref.repository, entry)
