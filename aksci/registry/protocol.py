"""What the other rooms need of a registry: the ``Registry`` protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Manifest", "Registry"]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest or index as the registry has it."""

    media_type: str
    digest: str
    """sha256 of ``content``, computed here and not taken from a header."""
    content: bytes


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

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]] | None:
        """Return the descriptors that refer to a digest, or None without a referrers API."""
