"""Move an image's stable tags to what was built, once the gates have passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.errors import RegistryError

if TYPE_CHECKING:
    from aksci.images.building.record import BuildRecord
    from aksci.registry import Registry

__all__ = ["MovedTag", "publish_tags"]


@dataclass(frozen=True, kw_only=True)
class MovedTag:
    """One tag that means another digest than before."""

    image: str
    repository: str
    tag: str
    old: str | None
    new: str


def publish_tags(record: BuildRecord, registry: Registry) -> tuple[MovedTag, ...]:
    """Point each image's stable tags at its digest, and return those that moved.

    The manifest is stored again under the tag, byte for byte, so the digest stays. A second call
    moves nothing.

    :raises RegistryError: the build was pushed to another registry, or a manifest is gone.
    """
    moved = []
    for name, image in sorted(record.images.items()):
        ref = image.ref
        if ref.registry != registry.host:
            raise RegistryError(
                f"{name} was built for {ref.registry} and can't be published in {registry.host}.",
                hint="nox -s build, with the same --env.",
            )
        for tag in image.tags:
            old = registry.resolve(ref.repository, tag)
            if old == ref.digest:
                continue
            manifest = registry.manifest(ref.repository, ref.digest)
            registry.put_manifest(ref.repository, manifest.content, manifest.media_type, tag=tag)
            moved.append(
                MovedTag(image=name, repository=ref.repository, tag=tag, old=old, new=ref.digest)
            )
    return tuple(moved)
