"""What all rooms need of a registry: the ``Registry`` protocol. ``RegistryClient`` is one.

It is one protocol, though few need all of it: a registry that can do a part of this is not one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from aksci.core.errors import DamagedInRegistry
from aksci.oci.manifest import parse_configuration
from aksci.oci.references import is_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from aksci.oci.manifest import Configuration, Descriptor, Manifest

__all__ = ["Registry", "read_child", "read_configuration"]


class Registry(Protocol):
    """One registry. Every method raises ``RegistryError`` when it can't be asked or refuses."""

    host: str
    """``host[:port]``."""

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest; None when the registry answers 404, only then."""

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return a manifest by tag or digest. Raise ``NotFoundInRegistry`` on 404."""

    def put_manifest(
        self, repository: str, content: bytes, media_type: str, *, tag: str | None = None
    ) -> str:
        """Store a manifest by tag or digest; return its digest, checked against our own sha256."""

    def blob(self, repository: str, digest: str) -> bytes:
        """Return a blob, its digest checked. Raise ``NotFoundInRegistry`` on 404."""

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a blob unless it is there already, and return its digest."""

    def has_blob(self, repository: str, digest: str) -> bool:
        """Tell whether a blob is stored: False only when the registry answers 404."""

    def stream_blob(self, repository: str, digest: str) -> Generator[bytes, None, None]:
        """Yield a blob in pieces; its digest is checked after the last."""

    def write_blob(
        self,
        repository: str,
        digest: str,
        size: int,
        pieces: Callable[[], Generator[bytes, None, None]],
    ) -> None:
        """Store a blob from its pieces, in bounded memory; ``pieces`` may be called again."""

    def mount_blob(self, repository: str, digest: str, source_repository: str) -> bool:
        """Take a blob over from another repository of this registry; tell whether it did that."""

    def put_blob_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob unless it is there already, and return its digest."""

    def tags(self, repository: str) -> list[str]:
        """Return all tags of a repository; none where there is no such repository."""

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]] | None:
        """Return the descriptors that refer to a digest, or None without a referrers API."""

    def repositories(self) -> list[str]:
        """Return the names of all repositories. Raise ``RegistryError`` where there is no list."""


def read_child(registry: Registry, repository: str, entry: Descriptor) -> Manifest:
    """Return what an index or a list names: by its digest, never by a tag in its place.

    :raises DamagedInRegistry: it is named by something else.
    :raises NotFoundInRegistry: it is gone.
    """
    if not is_digest(entry.digest):
        raise DamagedInRegistry(f"A list in {repository}", f"{entry.digest[:80]!r} is no digest")
    return registry.manifest(repository, entry.digest)


def read_configuration(registry: Registry, repository: str, manifest: Manifest) -> Configuration:
    """Return the configuration of one platform's image.

    :raises DamagedInRegistry: it has none, or a damaged one.
    :raises NotFoundInRegistry: it is gone.
    """
    if manifest.config is None:
        raise manifest.damaged("it has no configuration")
    return parse_configuration(manifest, registry.blob(repository, manifest.config.digest))
