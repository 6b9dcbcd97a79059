"""The registry that everything talks to: ``RegistryClient``.

Why part of it is ours and part is azure-containerregistry: docs/adr/0002-registry-client.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

from aksci.errors import ConfigError, NotFoundInRegistry, RegistryError, UnreachableError
from aksci.registry.protocol import Manifest
from aksci.registry.quick import QuickLane
from aksci.registry.refs import is_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from azure.core.credentials import TokenCredential

    from aksci.registry.quick import Answer
    from aksci.registry.transport import Pipelines
    from aksci.secret import Secret

__all__ = ["RegistryClient"]

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join(_MANIFESTS)
_QUESTIONS = frozenset({"GET", "HEAD"})
_UPLOAD_ATTEMPTS = 3
_CHUNK = 1 << 20
_LOOPBACK = frozenset({"localhost", "::1"})


class RegistryClient:
    """One registry over HTTPS, or over plain HTTP on loopback. Implements ``Registry``.

    Safe to use from several threads; connections and tokens are pooled. Transient failures are
    tried again, a bounded number of times. Nothing heavy is imported before the first request.

    :param credential: an azure.identity credential, for ACR.
    :param login: user name and password, for registries with basic or token authentication.
    :param verify: whether TLS certificates are checked, or the CA bundle to check them with.
    :param proxies: ``{"https": "http://proxy:3128"}``; the environment is not looked at.
    :param hint: what a user should do when the registry is unreachable.
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
        proxies: Mapping[str, str] | None = None,
        hint: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if plain_http and not is_loopback(host):
            raise ConfigError(
                f"The registry {host} is not on this machine, so it can't be used over plain HTTP.",
                hint="remove plain_http from its environment in aksci.toml; use one with TLS.",
            )
        self.host = host
        self.plain_http = plain_http
        self._scheme = "http" if plain_http else "https"
        self._hint = hint or "check the name, the network and the proxy."
        self._options: dict[str, Any] = {
            "credential": credential,
            "login": login,
            "verify": verify,
            "proxies": proxies or {},
            "sleep": sleep,
        }
        self._lock = threading.Lock()
        self._quick: QuickLane | None = None
        if verify and not proxies:
            bundle = verify if isinstance(verify, str) else ""
            self._quick = QuickLane(self._scheme, host, bundle=bundle)
        self._pipelines: Pipelines | None = None
        self._sdk: Any = None
        self._known = False

    # Manifests

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest; None when the registry answers 404, only then."""
        response = self._send("HEAD", self._path(repository, "manifests", reference), _ACCEPT)
        if response.status_code == 404:  # noqa: PLR2004 - HTTP's own number
            self._ensure_registry()
            return None
        self._require(response, 200)
        digest = response.headers.get("Docker-Content-Digest")
        if not digest:  # the header is optional in the OCI specification
            return self.manifest(repository, reference).digest
        _same(str(digest), reference, f"{self.host}/{repository}")
        return str(digest)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return a manifest by tag or digest. Raise ``NotFoundInRegistry`` on 404."""
        response = self._send("GET", self._path(repository, "manifests", reference), _ACCEPT)
        self._require_found(response, f"{self.host}/{repository}:{reference}")
        content: bytes = response.content
        digest = _digest(content)
        name = f"{self.host}/{repository}"
        _same(digest, reference, name)
        _same(digest, response.headers.get("Docker-Content-Digest") or digest, name)
        if not _is_manifest(content):
            raise RegistryError(
                f"{self.host} does not answer as a registry: what it sent for {repository}:"
                f"{reference} is no manifest.",
                hint="is it another server that listens there?",
            )
        media_type = str(response.headers.get("Content-Type", "")).partition(";")[0].strip()
        return Manifest(
            media_type=media_type or _media_type(content), digest=digest, content=content
        )

    def put_manifest(
        self, repository: str, content: bytes, media_type: str, *, tag: str | None = None
    ) -> str:
        """Store a manifest by tag or digest; return its digest, checked against our own sha256."""
        from azure.containerregistry import DigestValidationError
        from azure.core.exceptions import AzureError, HttpResponseError

        name = f"{self.host}/{repository}"
        try:
            stored = self._client().set_manifest(
                repository, io.BytesIO(content), tag=tag, media_type=media_type
            )
        except HttpResponseError as error:
            raise self._refusal(error.response) if error.response else self._broken(error) from None
        except DigestValidationError:
            raise RegistryError(f"{name} stored another manifest than it was sent.") from None
        except AzureError as error:
            raise self._broken(error) from None
        except KeyError:  # no Docker-Content-Digest in the answer: ask for it
            stored = self.resolve(repository, tag or _digest(content))
        digest = _digest(content)
        _same(str(stored), digest, name)
        return digest

    # Blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Tell whether a blob is stored: False only when the registry answers 404."""
        response = self._send("HEAD", self._path(repository, "blobs", digest))
        if response.status_code == 404:  # noqa: PLR2004 - HTTP's own number
            self._ensure_registry()
            return False
        self._require(response, 200)
        return True

    def blob(self, repository: str, digest: str) -> bytes:
        """Return a blob, its digest checked. Raise ``NotFoundInRegistry`` on 404."""
        response = self._send("GET", self._path(repository, "blobs", digest))
        self._require_found(response, f"{self.host}/{repository}@{digest}")
        content: bytes = response.content
        _same(_digest(content), digest, f"{self.host}/{repository}")
        return content

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a blob unless it is there already, and return its digest."""
        digest = _digest(content)
        if not self.has_blob(repository, digest):
            self._upload(repository, digest, content)
        return digest

    def put_blob_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob as ``put_blob`` does, without reading it into memory."""
        with path.open("rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            if not self.has_blob(repository, digest):
                for attempt in range(1, _UPLOAD_ATTEMPTS + 1):
                    file.seek(0)
                    try:
                        self._upload(repository, digest, file)
                        break
                    except RegistryError:
                        if attempt == _UPLOAD_ATTEMPTS:
                            raise
        return digest

    def _upload(self, repository: str, digest: str, content: bytes | BinaryIO) -> None:
        """Upload in one piece, so that nothing is visible before it is whole.

        Distribution specification 1.1, "POST then PUT".
        """
        begun = self._send("POST", self._path(repository, "blobs", "uploads/"))
        self._require(begun, 202)
        target = self._location(str(begun.request.url), begun.headers.get("Location", ""))
        separator = "&" if urlsplit(target).query else "?"
        done = self._send("PUT", f"{target}{separator}{urlencode({'digest': digest})}", "", content)
        self._require(done, 201)
        _same(
            done.headers.get("Docker-Content-Digest") or digest, digest, f"{self.host}/{repository}"
        )

    def _location(self, base: str, location: str) -> str:
        """Return where to send an upload: a Location may be relative, absolute or elsewhere."""
        if not location:
            raise RegistryError(f"{self.host} began an upload without saying where (no Location).")
        parts = urlsplit(urljoin(base, location))
        if parts.netloc == self.host:
            # Behind a proxy that ends TLS, registries are known to name themselves with http.
            return urlunsplit(parts._replace(scheme=self._scheme))
        if parts.scheme != "https":
            raise RegistryError(f"{self.host} wants an upload sent to {parts.netloc} without TLS.")
        return urlunsplit(parts)

    # Lists

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]] | None:
        """Return the descriptors that refer to a digest, or None without a referrers API."""
        response = self._send("GET", self._path(repository, "referrers", digest))
        if response.status_code == 404:  # noqa: PLR2004 - HTTP's own number
            self._ensure_registry()
            return None
        self._require(response, 200)
        manifests = json.loads(response.content).get("manifests")
        return list(manifests or [])

    def close(self) -> None:
        """Close the pooled connections."""
        if self._quick is not None:
            self._quick.close()
        with self._lock:
            if self._pipelines is not None:
                self._pipelines.raw.__exit__()
            self._pipelines = None
            self._sdk = None

    def prepare_to_write(self) -> None:
        """Import what the first write would wait for; nothing is asked of the registry."""
        self._client()

    # Requests

    def _path(self, repository: str, kind: str, name: str) -> str:
        if not is_repository(repository):
            raise ConfigError(f"{repository!r} is not the name of a repository (lower case only).")
        return f"{self._scheme}://{self.host}/v2/{repository}/{kind}/{quote(name, safe=':/')}"

    def _pipes(self) -> Pipelines:
        with self._lock:
            if self._pipelines is None:
                from aksci.registry.transport import build_pipelines

                pipelines = build_pipelines(self.host, self._scheme, **self._options)
                pipelines.raw.__enter__()
                self._pipelines = pipelines
            return self._pipelines

    def _client(self) -> Any:
        pipeline = self._pipes().decoding
        with self._lock:
            if self._sdk is None:
                from azure.containerregistry import ContainerRegistryClient

                endpoint = f"{self._scheme}://{self.host}"
                self._sdk = ContainerRegistryClient(endpoint, None, pipeline=pipeline)
            return self._sdk

    def _send(
        self, method: str, url: str, accept: str = "", content: bytes | BinaryIO | None = None
    ) -> Any:
        headers = {"Accept": accept} if accept else {}
        earlier = self._ask_quickly(method, url, headers)
        if earlier is not None and earlier.plain:
            return earlier
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        request = HttpRequest(method, url, headers=headers, content=content)
        try:
            return self._pipes().raw.run(request, stream=False, earlier=earlier).http_response
        except AzureError as error:
            raise self._broken(error) from None

    def _ask_quickly(self, method: str, url: str, headers: Mapping[str, str]) -> Answer | None:
        """Make the first attempt at a question without the pipeline's cost; None for all else."""
        if self._quick is None or method not in _QUESTIONS:
            return None
        with self._lock:
            pipelines = self._pipelines
        token = pipelines.tokens.known(method, url) if pipelines else None
        return self._quick.ask(
            method, url, {**headers, **({"Authorization": token} if token else {})}
        )

    # Answers

    def _require_found(self, response: Any, name: str) -> None:
        if response.status_code == 404:  # noqa: PLR2004 - HTTP's own number
            self._ensure_registry()
            raise NotFoundInRegistry(f"{name} does not exist in the registry.")
        self._require(response, 200)

    def _require(self, response: Any, status: int) -> None:
        if response.status_code != status:
            raise self._refusal(response)
        self._known = True

    def _ensure_registry(self) -> None:
        """Believe the first 404 only from a server that answers as a registry does."""
        if self._known:
            return
        response = self._send("GET", f"{self._scheme}://{self.host}/v2/")
        if response.status_code not in {200, 401}:
            raise RegistryError(
                f"{self.host} does not answer as a registry: {response.status_code} for /v2/."
            )
        self._known = True

    def _refusal(self, response: Any) -> RegistryError:
        status = response.status_code
        where = f"{response.request.method} {urlsplit(response.request.url).path}"
        hint = (
            f"log in to {self.host} as someone who may do this (ACR: role AcrPull or AcrPush)."
            if status in {401, 403}
            else None
        )
        return RegistryError(
            f"The registry {self.host} answered {status} to {where}{_reason(response)}.", hint=hint
        )

    def _broken(self, error: Exception) -> RegistryError:
        return UnreachableError(
            f"The registry {self.host} can't be reached: {_cause(error)}.", hint=self._hint
        )


def is_loopback(host: str) -> bool:
    """Tell whether ``host[:port]`` is this machine itself: localhost, 127.0.0.0/8 or ::1."""
    import ipaddress

    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _same(digest: str, expected: str, name: str) -> None:
    """Refuse a digest that is not the expected one; a tag expects nothing."""
    if ":" in expected and digest != expected:
        raise RegistryError(
            f"{name} has {digest} where {expected} was expected: damaged or replaced content."
        )


def _is_manifest(content: bytes) -> bool:
    """Tell a manifest from the page of a web server that has one for any address."""
    try:
        return "schemaVersion" in dict(json.loads(content))
    except (ValueError, TypeError):
        return False


def _media_type(content: bytes) -> str:
    try:
        return str(json.loads(content)["mediaType"])
    except (ValueError, KeyError, TypeError):
        return "application/vnd.oci.image.manifest.v1+json"


def _reason(response: Any) -> str:
    """Return ``: CODE: message`` from an OCI error body, or nothing."""
    try:
        first = json.loads(response.content)["errors"][0]
        return f": {first['code']}: {first.get('message', '')}".rstrip(": ")
    except (ValueError, KeyError, TypeError, IndexError):
        return ""


def _cause(error: BaseException) -> str:
    """Dig out the operating system's own words from under four layers of wrapping."""
    found: BaseException | None = error
    for _ in range(12):
        if isinstance(found, OSError) and found.strerror:
            return found.strerror.lower()
        following = getattr(found, "inner_exception", None) or getattr(found, "reason", None)
        if following is None and found is not None and found.args:
            following = found.args[0]
        if not isinstance(following, BaseException):
            following = found.__cause__ or found.__context__ if found else None
        if following is None or following is found:
            break
        found = following
    return str(found or error).strip().rstrip(".")
