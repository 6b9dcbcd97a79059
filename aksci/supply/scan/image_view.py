"""A view of an image in which the scanner looks at every layer. Pure.

Trivy guesses from an image's history which layers are its base's, and looks for no secrets in
those: the last ``CMD`` above the lowest layer that is left counts as the base's end. Whoever
writes the image writes its history. It also takes the configuration's word for which layer it has
seen before. So it is shown the same layers under another configuration, which differs in that.

Image specification 1.1, "OCI Image Manifest Specification" and "OCI Image Configuration".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, GateError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import short_line
from aksci.oci.manifest import CONFIG_TYPES, MANIFEST_TYPES, require_plain
from aksci.oci.references import digest_of, is_digest

if TYPE_CHECKING:
    from aksci.oci.manifest import Manifest
    from aksci.oci.references import ImageRef

__all__ = ["View", "config_of", "make_view", "restore"]

_LARGEST = 16 << 20
"""Bytes of a configuration; it is held in memory."""
_CLASSIC = "/bin/sh -c #(nop)  CMD"
"""How the classic builder begins what BuildKit begins with ``CMD``."""
_ORDER = re.compile(r"(trivy|tfsec)(?=:)")
"""Begins a comment by which a Dockerfile silences the checks of it, and so does a history."""
_OF_NAME = frozenset({"ArtifactID", "Fingerprint"})
"""Hashes that Trivy makes of the configuration and the name that it saw: they are left out."""
_FIELDS = {
    "config": ("architecture", "os", "variant", "config", "rootfs", "history", "created"),
    "rootfs": ("type", "diff_ids"),
    "history": ("created", "created_by", "author", "comment", "empty_layer"),
}


@dataclass(frozen=True, kw_only=True)
class View:
    """What the scanner is shown of one image."""

    media_type: str
    manifest: bytes
    config: bytes
    layers: dict[str, int]
    """Sizes of the layers' blobs, which are the image's own, by digest."""
    diff_ids: tuple[tuple[str, str], ...]
    """For each layer, what the view says that its DiffID is, and what the image says."""
    real_config: str
    """Digest of the image's configuration."""
    real: dict[str, Any]
    """The image's configuration."""

    @property
    def digest(self) -> str:
        """Of the view's manifest."""
        return digest_of(self.manifest)

    @property
    def config_digest(self) -> str:
        """Of the view's configuration."""
        return digest_of(self.config)


def config_of(manifest: Manifest, ref: ImageRef) -> tuple[str, int]:
    """Return digest and size of an image's configuration, which is small enough to be read.

    :raises GateError: the manifest is no image's.
    """
    try:
        config = _read_manifest(manifest)["config"]
        return str(config["digest"]), int(config["size"])
    except (DamagedInRegistry, *MALFORMED) as error:
        raise _refusal(ref, error) from None


def make_view(manifest: Manifest, config: bytes, ref: ImageRef) -> View:
    """Return what to show of an image.

    A layer's DiffID becomes its blob's digest, which is checked whenever it is read: what the
    scanner remembers of a layer is then of that very content, whatever an image says.

    :raises GateError: it is no image, or programs could understand it in different ways.
    """
    try:
        found, real = _read_manifest(manifest), _read_config(config)
        layers = [_descriptor(layer) for layer in found["layers"]]
        diff_ids = _pair(layers, real["rootfs"]["diff_ids"])
        shown = _encode(_shown(real, layers))
    except (DamagedInRegistry, *MALFORMED) as error:
        raise _refusal(ref, error) from None
    document = {
        "schemaVersion": 2,
        "mediaType": manifest.media_type,
        "config": {
            "mediaType": found["config"]["mediaType"],
            "digest": digest_of(shown),
            "size": len(shown),
        },
        "layers": layers,
    }
    return View(
        media_type=manifest.media_type,
        manifest=_encode(document),
        config=shown,
        layers={layer["digest"]: layer["size"] for layer in layers},
        diff_ids=diff_ids,
        real_config=found["config"]["digest"],
        real=real,
    )


def restore(report: dict[str, Any], view: View, shown: ImageRef, ref: ImageRef) -> dict[str, Any]:
    """Return a report on a view as one on its image.

    :param shown: the name under which the scanner saw the view.
    :raises GateError: the report is on something else, or not on all of it.
    """
    metadata = report.get("Metadata")
    layers = [digest for digest, _ in view.diff_ids]
    if (
        report.get("ArtifactName") != str(shown)
        or not isinstance(metadata, dict)
        or metadata.get("RepoDigests") != [str(shown)]
        or metadata.get("ImageID") != view.config_digest
        or (metadata.get("DiffIDs") or []) != layers
    ):
        raise GateError(
            f"The report that should be on {ref} is on {short_line(report.get('ArtifactName'))}, "
            "or not on all of it, so the image does not pass."
        )
    known: dict[str, Any] = _restored(report, dict(view.diff_ids), str(shown), str(ref))
    known["Metadata"] |= {"ImageID": view.real_config, "ImageConfig": view.real}
    if layers:
        known["Metadata"]["DiffIDs"] = [diff_id for _, diff_id in view.diff_ids]
    return known


def _restored(value: Any, diff_ids: dict[str, str], shown: str, name: str) -> Any:
    if isinstance(value, dict):
        return {
            key: diff_ids.get(entry, entry)
            if key == "DiffID" and isinstance(entry, str)
            else _restored(entry, diff_ids, shown, name)
            for key, entry in value.items()
            if key not in _OF_NAME
        }
    if isinstance(value, list):
        return [_restored(entry, diff_ids, shown, name) for entry in value]
    return value.replace(shown, name) if isinstance(value, str) else value


def _pair(layers: list[dict[str, Any]], diff_ids: list[Any]) -> tuple[tuple[str, str], ...]:
    if len(diff_ids) != len(layers) or not all(map(is_digest, map(str, diff_ids))):
        raise ValueError("its configuration does not tell its layers")
    pairs = tuple(zip((layer["digest"] for layer in layers), diff_ids, strict=True))
    # The scanner caches by what the view says: two DiffIDs of one blob would be one layer to it.
    if len(set(pairs)) != len({digest for digest, _ in pairs}):
        raise ValueError("its configuration tells one layer in two ways")
    return pairs


def _shown(config: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    digests = [layer["digest"] for layer in layers]
    shown = config | {"rootfs": config["rootfs"] | {"diff_ids": digests}}
    if config.get("history"):
        shown["history"] = [_harmless(entry) for entry in config["history"]]
    return shown


def _harmless(entry: Any) -> Any:
    """Return an entry of the history by which nothing is skipped.

    What is made of it, a Dockerfile, has the same instructions as before.
    """
    if entry is None:
        return None
    text = entry.get("created_by")
    if not isinstance(text, str):
        return entry
    if entry.get("empty_layer") is True:
        # A blank more or less: neither of the two beginnings, and the same instruction.
        text = f" {text}" if text.startswith("CMD") else text
        text = text.replace("  CMD", " CMD", 1) if text.startswith(_CLASSIC) else text
    return entry | {"created_by": _ORDER.sub(r"\1 ", text)}


def _read_manifest(manifest: Manifest) -> dict[str, Any]:
    found = dict(manifest.document)
    if manifest.media_type not in MANIFEST_TYPES:
        raise ValueError(f"{short_line(manifest.media_type)} is no image's type")
    found["layers"] = found["layers"] or []  # BuildKit writes null where there is none
    config = _descriptor(found["config"])
    if config["mediaType"] not in CONFIG_TYPES:
        raise ValueError(
            f"its configuration is {short_line(config['mediaType'])}: it is an artifact"
        )
    if config["size"] > _LARGEST:
        raise ValueError(f"its configuration has more than {_LARGEST >> 20} MiB")
    return found


def _read_config(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = parse_json(content)
    require_plain(found, _FIELDS["config"])
    require_plain(found["rootfs"], _FIELDS["rootfs"])
    if found["rootfs"]["diff_ids"] is None:
        found["rootfs"]["diff_ids"] = []
    for entry in found.get("history") or ():
        if entry is not None:
            require_plain(entry, _FIELDS["history"])
    return found


def _descriptor(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is needed of a descriptor: no ``urls`` for the scanner to ask elsewhere."""
    kept = {key: found[key] for key in ("mediaType", "digest", "size")}
    if kept["size"] is None:
        raise ValueError("one of its descriptors has no size")
    return kept


def _refusal(ref: ImageRef, error: Exception) -> GateError:
    if isinstance(error, DamagedInRegistry):
        reason = error.why
    else:
        reason = str(error) if type(error) is ValueError else repr(error)
    return GateError(
        f"{ref} could not be scanned, so it does not pass: it is no image that is understood "
        f"({short_line(reason)})."
    )


def _encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
