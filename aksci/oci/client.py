"""The registry that everything talks to: ``RegistryClient``.

Why part of it is ours and part is azure-containerregistry: docs/adr/0002-registry-client.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.core.errors import ConfigError, RegistryError
from aksci.core.strict_json import parse_json
from aksci.oci.answers import (
    LARGEST_LIST,
    LARGEST_MANIFEST,
    error_code,
    is_manifest,
    media_type_of,
    next_page,
    require_same,
    require_size,
)
from aksci.oci.blobs import Blobs
from aksci.oci.catalog import PERMISSION, acr_names, is_acr, require_names
from aksci.oci.connection import Connection, Session
from aksci.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest
from aksci.oci.references import digest_of, is_digest
from aksci.oci.referrers import require_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from azure.core.credentials import TokenCredential

    from aksci.core.secret import Secret

__all__ = ["RegistryClient"]

_ACCEPT = {"Accept": ", ".join(sorted(INDEX_TYPES) + sorted(MANIFEST_TYPES))}
_LOOPBACK = frozenset({"localhost", "::1"})
_REFUSED = frozenset({401, 403})
_CREATED = 201
_PAGE = 1000
_PAGES = 2000
"""Pages after which a list counts as one without an end."""
_NOTICED = 2.0  # seconds; shorter waits are no news
_MANIFEST_LIMIT = 4 << 20
"""Bytes that every registry should take. Distribution specification 1.1, "Pushing Manifests"."""


class RegistryClient:
    """One registry over HTTPS, or over plain HTTP on loopback. Implements ``Registry``.

    Safe to use from several threads; connections and tokens are pooled. Transient failures are
    tried again, a bounded number of times. Nothing heavy is imported before the first request.

    :param credential: an azure.identity credential, for ACR.
    :param login: user name and password, for registries with basic or token authentication.
    :param verify: whether TLS certificates are checked, or the CA bundle to check them with.
    :param proxy: returns the address of the proxy that leads to a URL, or None: answers lead on to
        other hosts. The environment is not looked at.
    :param hint: what a user should do when the registry is unreachable.
    :param say: is told of each wait that a person would notice.
    :raises ConfigError: plain HTTP was asked for another host than loopback.
    """

    def __init__(
        self,
        host: str,
        *,
        plain_http: bool = False,
        credential: TokenCredential | None = None,
        login: tuple[str, Secret] | None = None,
        verify: bool | str = True,
        proxy: Callable[[str], str | None] | None = None,
        hint: str | None = None,
        say: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if plain_http and not is_loopback(host):
            raise ConfigError(
                f"The registry {host} is not on this machine, so it can't be used over plain HTTP.",
                hint="remove plain_http from its environment in aksci.toml; use one with TLS.",
            )
        self.host = host
        self.plain_http = plain_http
        scheme = "http" if plain_http else "https"
        session = Session(
            host,
            scheme,
            credential=credential,
            login=login,
            verify=verify,
            proxy=proxy,
            wait=_telling(host, say, sleep) if say else sleep,
        )
        self._connection = Connection(
            host, scheme, session, hint=hint or "check the name, the network and the proxy."
        )
        self._blobs = Blobs(self._connection, sleep=sleep)
        self._lists_referrers = True
        self._is_acr = credential is not None or is_acr(host)

    # Manifests

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest; None when the registry answers 404, only then."""
        url = self._connection.path(repository, "manifests", reference)
        response = self._connection.send("HEAD", url, headers=_ACCEPT)
        if self._connection.is_missing(response):
            return None
        self._connection.require(response, 200)
        digest = response.headers.get("Docker-Content-Digest")
        if not digest:  # the header is optional in the OCI specification
            return self.manifest(repository, reference).digest
        if not is_digest(str(digest)):
            raise RegistryError(f"{self.host} names no digest for {repository}: {str(digest)!r}.")
        require_same(str(digest), reference, f"{self.host}/{repository}")
        return str(digest)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return a manifest by tag or digest. Raise ``NotFoundInRegistry`` on 404."""
        url = self._connection.path(repository, "manifests", reference)
        response = self._connection.send("GET", url, headers=_ACCEPT, largest=LARGEST_MANIFEST)
        self._connection.require_found(response, f"{self.host}/{repository}:{reference}")
        content: bytes = response.content
        digest = digest_of(content)
        name = f"{self.host}/{repository}"
        require_same(digest, reference, name)
        require_same(digest, response.headers.get("Docker-Content-Digest") or digest, name)
        if not is_manifest(content):
            raise RegistryError(
                f"{self.host} does not answer as a registry: what it sent for {repository}:"
                f"{reference} is no manifest.",
                hint="is it another server that listens there?",
            )
        media_type = str(response.headers.get("Content-Type", "")).partition(";")[0].strip()
        return Manifest(
            media_type=media_type or media_type_of(content), digest=digest, content=content
        )

    def put_manifest(
        self, repository: str, content: bytes, media_type: str, *, tag: str | None = None
    ) -> str:
        """Store a manifest by tag or digest; return its digest, checked against our own sha256."""
        digest = digest_of(content)
        url = self._connection.path(repository, "manifests", tag or digest)
        response = self._connection.send(
            "PUT", url, headers={"Content-Type": media_type}, content=content
        )
        if response.status_code != _CREATED:
            raise _of_size(self._connection.refusal(response), len(content))
        stored = response.headers.get("Docker-Content-Digest")
        if not stored:  # the header is optional in the OCI specification
            stored = self.resolve(repository, tag or digest)
        if stored != digest:
            name = f"{self.host}/{repository}"
            raise RegistryError(f"{name} stored another manifest than it was sent.")
        return digest

    # Blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Tell whether a blob is stored: False only when the registry answers 404."""
        return self._blobs.has(repository, digest)

    def blob(self, repository: str, digest: str) -> bytes:
        """Return a blob, its digest checked. Raise ``NotFoundInRegistry`` on 404."""
        return self._blobs.read(repository, digest)

    def stream_blob(self, repository: str, digest: str) -> Generator[bytes, None, None]:
        """Yield a blob in pieces; its digest is checked after the last. See ``Blobs.stream``."""
        return self._blobs.stream(repository, digest)

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a blob unless it is there already, and return its digest."""
        digest = digest_of(content)
        if not self._blobs.has(repository, digest):
            self._blobs.put(repository, digest, content)
        return digest

    def put_blob_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob as ``put_blob`` does, without reading it into memory."""
        return self._blobs.put_file(repository, path)

    def write_blob(
        self,
        repository: str,
        digest: str,
        size: int,
        pieces: Callable[[], Generator[bytes, None, None]],
    ) -> None:
        """Store a blob from its pieces, in bounded memory. See ``Blobs.write``."""
        self._blobs.write(repository, digest, size, pieces)

    def mount_blob(self, repository: str, digest: str, source_repository: str) -> bool:
        """Take a blob over from another repository of this registry; tell whether it did that."""
        return self._blobs.mount(repository, digest, source_repository)

    # Lists

    def tags(self, repository: str) -> list[str]:
        """Return all tags of a repository; none where there is no such repository.

        Distribution specification 1.1, "Listing Tags".
        """
        url = f"{self._connection.path(repository, 'tags', 'list')}?n={_PAGE}"
        return [str(tag) for tag in self._pages(url, "tags") or ()]

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]] | None:
        """Return the descriptors that refer to a digest, or None without a referrers API.

        A registry that has said that it has none is not asked again.
        """
        if not self._lists_referrers:
            return None
        found = self._pages(self._connection.path(repository, "referrers", digest), "manifests")
        return None if found is None else require_entries(found, f"{repository}@{digest}")

    def repositories(self) -> list[str]:
        """Return the names of all repositories, which needs a permission of its own.

        A list that is limited to some repositories is not told from a whole one. Names are as the
        registry gave them: see ``is_repository``.
        """
        ways = [lambda: acr_names(self._connection), self._catalog]
        for way in ways if self._is_acr else reversed(ways):
            found = way()
            if found is not None:
                return require_names(found, self.host)
        raise RegistryError(
            f"{self.host} has no list of its repositories: neither ACR's nor /v2/_catalog.",
            hint="its administrator may have switched it off.",
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()

    def _catalog(self) -> list[Any] | None:
        # The size of a page is the registry's choice: one that allows fewer refuses what asks for
        # more (distribution: ``catalog.maxentries``).
        url = f"{self._connection.scheme}://{self.host}/v2/_catalog"
        return self._pages(url, "repositories", refused=PERMISSION)

    def _pages(self, url: str, key: str, *, refused: str | None = None) -> list[Any] | None:
        """Return a list from all of its pages; None where the registry answers 404 at once.

        :param refused: the hint for who may not read it.
        """
        found: list[Any] = []
        asked: set[str] = set()
        size = 0
        while url and url not in asked:
            asked.add(url)
            response = self._connection.send("GET", url, largest=LARGEST_LIST)
            if len(asked) == 1 and self._connection.is_missing(response):
                if "/referrers/" in url:
                    # A registry with the API has an empty list for what it does not know; some
                    # say instead that there is no such repository yet.
                    self._lists_referrers = error_code(response.content) == "NAME_UNKNOWN"
                return None
            if refused and response.status_code in _REFUSED:
                raise RegistryError(self._connection.refusal(response).message, hint=refused)
            self._connection.require(response, 200)
            size += len(response.content)
            require_size(size, self.host, LARGEST_LIST)
            found += self._page(url, response.content, key)
            link = next_page(response.headers)
            url = self._connection.location(url, link) if link else ""
            if url and urlsplit(url).netloc != self.host:
                raise RegistryError(f"{self.host} continues a list at {urlsplit(url).netloc}.")
            if url and len(asked) == _PAGES:
                raise RegistryError(f"{self.host} sends a list without an end.")
        return found

    def _page(self, url: str, content: bytes, key: str) -> list[Any]:
        """Return what one page has of a list; JSON's null stands for an empty one."""
        try:
            entries = parse_json(content)[key]
            if not isinstance(entries, list | None):
                raise TypeError(entries)  # noqa: TRY301 - one place says so
        except (ValueError, TypeError, KeyError):
            raise RegistryError(
                f"{self.host} does not answer as a registry: no list is at {urlsplit(url).path}.",
                hint="is it another server that listens there?",
            ) from None
        return entries or []


def _telling(
    host: str, say: Callable[[str], None], sleep: Callable[[float], None]
) -> Callable[[float], None]:
    """Return what says that a wait is long, and waits."""

    def wait(seconds: float) -> None:
        if seconds >= _NOTICED:
            say(f"{host} can't answer now; asking again in {seconds:.0f} s")
        sleep(seconds)

    return wait


def is_loopback(host: str) -> bool:
    """Tell whether ``host[:port]`` is this machine itself: localhost, 127.0.0.0/8 or ::1."""
    import ipaddress

    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets around what is no address
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK


def _of_size(error: RegistryError, size: int) -> RegistryError:
    """Say so where it may be its size for which a manifest was refused."""
    if size <= _MANIFEST_LIMIT:
        return error
    return RegistryError(
        f"{error.message}\n\nThe manifest has {size:,} bytes.",
        hint="registries need not take manifests of more than 4 MiB: put what is in its "
        "annotations into a blob.",
    )
