"""What a rebase will store: the bytes of configurations and manifests, and the layers to bring.

They are as BuildKit writes them (``exporter/containerimage/writer.go``), so that a rebuild whose
own layers come from BuildKit's cache has the same digest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aksci.images.rebase.merge import merged
from aksci.images.rebase.stored import convert_layer
from aksci.images.rebase.texts import go_json
from aksci.oci.answers import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.images.rebase.recorded import RebaseFacts
    from aksci.images.rebase.stored import Place, PlatformImage, Stored
    from aksci.oci.references import ImageRef

__all__ = ["NewManifest", "RebasePlan", "Trio", "plan_rebase"]


@dataclass(frozen=True, kw_only=True)
class Trio:
    """An image, its old base and its new base, on one platform."""

    image: PlatformImage
    old: PlatformImage
    new: PlatformImage


@dataclass(frozen=True, kw_only=True)
class NewManifest:
    """A manifest or index to store."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its digest, known before it is stored."""
        return digest_of(self.content)


@dataclass(frozen=True, kw_only=True)
class RebasePlan:
    """One rebase that is provably the same as a rebuild."""

    image: ImageRef
    runtime: str
    """Full reference of the base."""
    old_base: str
    new_base: str
    """Digests, of indexes where they are some."""
    source: Place
    """Where the new base's layers are."""
    layers: tuple[tuple[str, int], ...]
    """Digest and size of those that the image does not have yet."""
    configs: tuple[bytes, ...]
    manifests: tuple[NewManifest, ...]
    """Of the platforms."""
    index: NewManifest | None

    @property
    def digest(self) -> str:
        """The digest of the rebased image."""
        return (self.index or self.manifests[0]).digest


def plan_rebase(
    stored: Stored,
    trios: Sequence[Trio],
    facts: RebaseFacts,
    annotations: Mapping[str, str],
    empty: RebasePlan,
) -> RebasePlan:
    """Fill a plan in.

    :param empty: what is known of it before.
    """
    configs = tuple(_config(trio, facts) for trio in trios)
    manifests = tuple(
        _manifest(trio, config, annotations) for trio, config in zip(trios, configs, strict=True)
    )
    index = None
    if stored.index is not None:
        index = _index(stored, manifests, annotations)
    present = {layer["digest"] for trio in trios for layer in trio.image.layers}
    needed = {layer["digest"]: layer["size"] for trio in trios for layer in trio.new.layers}
    return replace(
        empty,
        layers=tuple(sorted((each, size) for each, size in needed.items() if each not in present)),
        configs=configs,
        manifests=manifests,
        index=index,
    )


def _config(trio: Trio, facts: RebaseFacts) -> bytes:
    image, old, new = trio.image.settings, trio.old.settings, trio.new.settings
    config, author = merged(new, image, facts)
    history = [*new.history, *image.history[len(old.history) :]]
    times = [one["created"] for one in history if "created" in one]
    diff_ids = [*new.diff_ids, *image.diff_ids[len(old.diff_ids) :]]
    document = {
        **image.platform,
        **({"author": author} if author else {}),
        "config": config,
        "created": times[-1] if times else None,
        "history": history or None,
        "rootfs": {"type": "layers", "diff_ids": diff_ids or None},
    }
    return go_json(dict(sorted(document.items())))


def _manifest(trio: Trio, config: bytes, annotations: Mapping[str, str]) -> NewManifest:
    old = trio.image.manifest
    own = trio.image.layers[len(trio.old.layers) :]
    below = [convert_layer(layer, trio.image.media_type) for layer in trio.new.layers]
    document = {
        **old,
        "config": {**old["config"], "digest": digest_of(config), "size": len(config)},
        "layers": [*below, *own] or None,
    }
    return _written(document, annotations, trio.image.media_type)


def _index(
    stored: Stored, manifests: Sequence[NewManifest], annotations: Mapping[str, str]
) -> NewManifest:
    index = dict(stored.index or {})
    index["manifests"] = [
        {**entry, "digest": one.digest, "size": len(one.content)}
        for entry, one in zip(index["manifests"], manifests, strict=True)
    ]
    # Of one platform, BuildKit is told to annotate its manifest only: see ``build_argv``.
    return _written(index, annotations if len(manifests) > 1 else {}, stored.media_type)


def _written(
    document: dict[str, Any], annotations: Mapping[str, str], media_type: str
) -> NewManifest:
    """Write a manifest with annotations: those that it had, those that are given in their place."""
    notes = {**(document.pop("annotations", None) or {}), **annotations}
    if notes:
        document["annotations"] = dict(sorted(notes.items()))
    return NewManifest(content=go_json(document, indent=2), media_type=media_type)
