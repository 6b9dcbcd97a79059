"""What the registry says about an image: for which platforms it is, and what each one runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["configurations"]


def configurations(registry: Registry, name: str, ref: ImageRef) -> dict[str, Mapping[str, Any]]:
    """Return the configuration of each platform's image: ``linux/amd64`` -> document.

    Attestations in an index are no platform (BuildKit, "Attestation storage"). Variants of one
    architecture count as that architecture; the first one stands for it.

    :raises ValidationError: it is no container image.
    """
    try:
        manifest = json.loads(registry.manifest(ref.repository, ref.digest).content)
        entries = manifest.get("manifests")
        digests = [each["digest"] for each in entries if _is_image(each)] if entries else [None]
        found: dict[str, Mapping[str, Any]] = {}
        for digest in digests:
            one = manifest
            if digest:
                one = json.loads(registry.manifest(ref.repository, digest).content)
            config = json.loads(registry.blob(ref.repository, one["config"]["digest"]))
            found.setdefault(f"{config['os']}/{config['architecture']}", config)
    except (ValueError, KeyError, TypeError, AttributeError):
        found = {}
    if not found:
        raise ValidationError(f"{name}: {ref} is no container image that could be run.")
    return found


def _is_image(entry: Mapping[str, Any]) -> bool:
    platform = entry.get("platform") or {}
    notes = entry.get("annotations") or {}
    return platform.get("os") != "unknown" and "vnd.docker.reference.type" not in notes
