"""Move an image's stable tags to what was built, once the gates have passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.images.build.build_record import Build, BuiltImage
    from aksci.oci.registry import Registry

__all__ = ["MovedTag", "publish_tags"]

_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class MovedTag:
    """One tag that means another digest than before."""

    image: str
    repository: str
    tag: str
    old: str | None
    new: str


def publish_tags(build: Build, registry: Registry) -> tuple[MovedTag, ...]:
    """Point each image's stable tags at its digest, and return those that moved.

    The manifest is stored again under the tag, byte for byte, so the digest stays. A second call
    moves nothing. An image's first tag moves last: what it means tells a cascade what is published,
    so a run that dies in between is found to have died.

    :raises RegistryError: the build was pushed to another registry, or a manifest is gone.
    """
    # All of them before the first tag moves.
    for name, image in build.images.items():
        if image.ref.registry != registry.host:
            raise RegistryError(
                f"{name} was built for {image.ref.registry} and can't be published in "
                f"{registry.host}.",
                hint="nox -s build, with the same --env.",
            )
    moved = gather(
        lambda name: list(_moved(name, build.images[name], registry)),
        sorted(build.images),
        limit=_THREADS,
        name="tags",
    )
    return tuple(move for moves in moved for move in moves)


def _moved(name: str, image: BuiltImage, registry: Registry) -> Iterator[MovedTag]:
    ref = image.ref
    for tag in reversed(image.tags):
        old = registry.resolve(ref.repository, tag)
        if old == ref.digest:
            continue
        manifest = registry.manifest(ref.repository, ref.digest)
        registry.put_manifest(ref.repository, manifest.content, manifest.media_type, tag=tag)
        yield MovedTag(image=name, repository=ref.repository, tag=tag, old=old, new=ref.digest)
