"""What all rooms need of a registry: the ``Registry`` protocol. ``RegistryClient`` is one.

It is one protocol, though few need all of it: a registry that can do a part of this is not one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from aksci.oci.manifest import Manifest

__all__ = ["Registry"]


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
