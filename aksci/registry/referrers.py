"""What refers to an image: the referrers API, and the fallback tag for registries without it.

Distribution specification 1.1, "Listing Referrers", "Pushing Manifests with Subject" and
"Referrers Tag Schema".
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aksci.errors import NotFoundInRegistry, RegistryError

if TYPE_CHECKING:
    from aksci.registry.protocol import Registry
    from aksci.registry.refs import ImageRef

__all__ = ["list_referrers", "record_referrer"]

_INDEX = "application/vnd.oci.image.index.v1+json"
_ATTEMPTS = 5
_LOCKS: dict[str, threading.Lock] = defaultdict(threading.Lock)
"""One per digest: writers of one fallback tag lose each other's entries otherwise."""


def list_referrers(
    registry: Registry, ref: ImageRef, *, artifact_type: str | None = None
) -> list[dict[str, Any]]:
    """Return the descriptors of what refers to an image, of one type or of all."""
    found = registry.referrers(ref.repository, ref.digest)
    if found is None:
        found = _fallback(registry, ref.repository, ref.digest)
    return [entry for entry in found if artifact_type in {None, entry.get("artifactType")}]


def record_referrer(registry: Registry, repository: str, content: bytes) -> None:
    """Enter a stored manifest in its subject's fallback tag, where the registry has no list.

    :param content: the manifest's bytes, with ``subject``.
    """
    manifest = json.loads(content)
    subject = str(manifest["subject"]["digest"])
    if registry.referrers(repository, subject) is not None:
        return
    entry = {
        "mediaType": manifest["mediaType"],
        "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"],
        "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
        "size": len(content),
        **({"annotations": manifest["annotations"]} if "annotations" in manifest else {}),
    }
    with _LOCKS[subject]:
        for _ in range(_ATTEMPTS):
            entries = _fallback(registry, repository, subject)
            if any(other["digest"] == entry["digest"] for other in entries):
                return
            index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [*entries, entry]}
            text = json.dumps(index, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            registry.put_manifest(repository, text.encode(), _INDEX, tag=_tag(subject))
            # Read back in the next round: another process may have written at the same time.
    if all(
        other["digest"] != entry["digest"] for other in _fallback(registry, repository, subject)
    ):
        raise RegistryError(
            f"{registry.host}/{repository}:{_tag(subject)} keeps losing the entry "
            f"{entry['digest']}: another program writes it at the same time.",
            hint="run again when it has ended.",
        )


def _fallback(registry: Registry, repository: str, digest: str) -> list[dict[str, Any]]:
    try:
        manifest = registry.manifest(repository, _tag(digest))
    except NotFoundInRegistry:
        return []
    return list(json.loads(manifest.content).get("manifests") or [])


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
