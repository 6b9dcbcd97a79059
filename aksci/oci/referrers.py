"""What refers to an image: the referrers API, and the fallback tag for registries without it.

Distribution specification 1.1, "Listing Referrers", "Pushing Manifests with Subject" and
"Referrers Tag Schema".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.oci.locks import hold
from aksci.oci.manifest import OCI_INDEX, parse_descriptor
from aksci.oci.references import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = [
    "fallback_tag",
    "list_referrers",
    "record_referrer",
    "record_referrers",
    "require_entries",
]

_ATTEMPTS = 5
_LARGEST = 4 << 20
"""Bytes of a manifest that every registry takes: "Pushing Manifests"."""


def list_referrers(
    registry: Registry, ref: ImageRef, *, artifact_type: str | None = None
) -> list[dict[str, Any]]:
    """Return the descriptors of what refers to an image, of one type or of all.

    What is no descriptor, or names something by another digest than is checked here, is left out:
    a user with push access can enter anything in a fallback tag, and must not hide the rest by it.
    """
    found = registry.referrers(ref.repository, ref.digest)
    if found is None:
        found = _fallback(registry, ref.repository, ref.digest)
    wanted = (entry for entry in found if artifact_type in (None, entry.get("artifactType")))
    return [entry for entry in wanted if _is_descriptor(entry)]


def record_referrer(registry: Registry, repository: str, content: bytes) -> None:
    """Enter a stored manifest in its subject's fallback tag, where the registry has no list.

    :param content: the manifest's bytes, with ``subject``.
    """
    manifest = parse_json(content)
    entry = {
        "mediaType": manifest["mediaType"],
        "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"],
        "digest": digest_of(content),
        "size": len(content),
        **({"annotations": manifest["annotations"]} if "annotations" in manifest else {}),
    }
    record_referrers(registry, repository, str(manifest["subject"]["digest"]), [entry])


def record_referrers(
    registry: Registry, repository: str, subject: str, entries: Sequence[dict[str, Any]]
) -> bool:
    """Add what is missing to a subject's fallback tag, where the registry has no list.

    What others have entered there stays.

    :param entries: descriptors of stored manifests, with ``artifactType``.
    :returns: whether something was added.
    """
    if registry.referrers(repository, subject) is not None:
        return False
    added = False
    with hold(subject):
        for _ in range(_ATTEMPTS):
            present = _fallback(registry, repository, subject)
            missing = _missing(entries, present)
            if not missing:
                return added
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*present, *missing]}
            # In ASCII: half of a surrogate pair, which somebody may have entered, has no UTF-8.
            text = json.dumps(index, sort_keys=True, separators=(",", ":"))
            if len(text) > _LARGEST:
                raise RegistryError(
                    f"{registry.host}/{repository}:{fallback_tag(subject)} lists {len(present):,} "
                    "artifacts, and has no room for another.",
                    hint="delete what is not yours there; or use a registry with the referrers "
                    "API, whose lists have pages.",
                )
            registry.put_manifest(repository, text.encode(), OCI_INDEX, tag=fallback_tag(subject))
            added = True
            # Read back in the next round: another machine may have written at the same time.
        missing = _missing(entries, _fallback(registry, repository, subject))
    if missing:
        raise RegistryError(
            f"{registry.host}/{repository}:{fallback_tag(subject)} keeps losing the entry "
            f"{missing[0]['digest']}: another program writes it at the same time.",
            hint="run again when it has ended.",
        )
    return added


def fallback_tag(digest: str) -> str:
    """Return the tag that lists what refers to a digest, where the registry has no such list."""
    return digest.replace(":", "-")


def require_entries(found: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects of a list of referrers; refuse what is no list."""
    if not isinstance(found, list):
        raise RegistryError(f"The list of what refers to {name} is damaged.")
    return [entry for entry in found if isinstance(entry, dict)]


def _is_descriptor(entry: Any) -> bool:
    try:
        parse_descriptor(entry)
    except ValueError:
        return False
    return True


def _missing(
    entries: Sequence[dict[str, Any]], present: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    known = {entry.get("digest") for entry in present}
    return [entry for entry in entries if entry["digest"] not in known]


def _fallback(registry: Registry, repository: str, digest: str) -> list[dict[str, Any]]:
    try:
        manifest = registry.manifest(repository, fallback_tag(digest))
    except NotFoundInRegistry:
        return []
    # Not by its properties: one entry that is damaged would hide all others.
    try:
        found = parse_json(manifest.content)["manifests"] or []
    except MALFORMED:
        found = None
    return require_entries(found, f"{repository}@{digest}")
