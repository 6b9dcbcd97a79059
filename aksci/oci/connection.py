"""One registry's connection: send a request, stream an answer, tell a refusal from "not there"."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from aksci.core.concurrency import import_first
from aksci.core.errors import ConfigError, NotFoundInRegistry, RegistryError, UnreachableError
from aksci.oci.answers import reason_of, root_cause
from aksci.oci.quick import QuickLane
from aksci.oci.references import is_repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from aksci.oci.quick import Answer
    from aksci.oci.transport import Pipelines

__all__ = ["Connection"]

_QUICK = frozenset({"GET", "HEAD", "POST", "PUT"})
_LARGEST_QUICK = 1 << 20
"""Bytes that are written so. What is larger is worth the pipeline's care."""
_NOT_FOUND = 404
_BINARY = "application/octet-stream"


class Connection:
    """What the registry's client is made on. Safe to use from several threads.

    :param options: what ``build_pipelines`` takes.
    """

    def __init__(self, host: str, scheme: str, *, hint: str, options: dict[str, Any]) -> None:
        self.host = host
        self.scheme = scheme
        self._hint = hint
        self._options = options
        self._lock = threading.Lock()
        self.quick: QuickLane | None = None
        if options["verify"] and not options["proxies"]:
            bundle = options["verify"] if isinstance(options["verify"], str) else ""
            self.quick = QuickLane(scheme, host, bundle=bundle)
        self.pipelines: Pipelines | None = None
        self._sdk: Any = None
        self._known = False

    def close(self) -> None:
        """Close the pooled connections."""
        if self.quick is not None:
            self.quick.close()
        with self._lock:
            if self.pipelines is not None:
                self.pipelines.raw.__exit__()
            self.pipelines = None
            self._sdk = None

    def path(self, repository: str, kind: str, name: str) -> str:
        """Return the address of something in a repository."""
        if not is_repository(repository):
            raise ConfigError(f"{repository!r} is not the name of a repository (lower case only).")
        return f"{self.scheme}://{self.host}/v2/{repository}/{kind}/{quote(name, safe=':/')}"

    def location(self, base: str, location: str) -> str:
        """Return where to send an upload: a Location may be relative, absolute or elsewhere."""
        if not location:
            raise RegistryError(f"{self.host} began an upload without saying where (no Location).")
        parts = urlsplit(urljoin(base, location))
        if parts.netloc == self.host:
            # Behind a proxy that ends TLS, registries are known to name themselves with http.
            return urlunsplit(parts._replace(scheme=self.scheme))
        if parts.scheme != "https":
            raise RegistryError(f"{self.host} wants an upload sent to {parts.netloc} without TLS.")
        return urlunsplit(parts)

    # Requests

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | BinaryIO | None = None,
        once: bool = False,
    ) -> Any:
        """Send a request and return its answer, read.

        :param once: don't repeat it when nobody knows whether the registry has acted on it.
        """
        headers = dict(headers or {})
        if content is not None:
            headers.setdefault("Content-Type", _BINARY)
        earlier = None if once else self._ask_quickly(method, url, headers, content)
        if earlier is not None and earlier.plain:
            return earlier
        return self._run(method, url, headers, content, stream=False, earlier=earlier, once=once)

    def stream(self, url: str, headers: Mapping[str, str]) -> Any:
        """Ask for something and return its answer unread. Read it to the end, or close it."""
        return self._run("GET", url, headers, None, stream=True)

    def sdk(self) -> Any:
        """Return azure-containerregistry's client over the same tokens and connections."""
        pipeline = self._pipes().decoding
        with self._lock:
            if self._sdk is None:
                import_first("azure.containerregistry")
                from azure.containerregistry import ContainerRegistryClient

                endpoint = f"{self.scheme}://{self.host}"
                self._sdk = ContainerRegistryClient(endpoint, None, pipeline=pipeline)
            return self._sdk

    # Answers

    def is_missing(self, response: Any) -> bool:
        """Tell whether an answer says "not there", which only a 404 of a registry does."""
        if response.status_code != _NOT_FOUND:
            return False
        self._ensure_registry()
        return True

    def require(self, response: Any, *statuses: int) -> None:
        """Refuse an answer of another status."""
        if response.status_code not in statuses:
            raise self.refusal(response)
        self._known = True

    def require_found(self, response: Any, name: str, *statuses: int) -> None:
        """Refuse an answer of another status than 200, or those named; 404 as "not there"."""
        if self.is_missing(response):
            raise NotFoundInRegistry(f"{name} does not exist in the registry.")
        self.require(response, *(statuses or (200,)))

    def refusal(self, response: Any) -> RegistryError:
        """Return the error for an answer of a status that does not fit."""
        status = response.status_code
        where = f"{response.request.method} {urlsplit(response.request.url).path}"
        hint = (
            f"log in to {self.host} as someone who may do this (ACR: role AcrPull or AcrPush)."
            if status in {401, 403}
            else None
        )
        return RegistryError(
            f"The registry {self.host} answered {status} to {where}{reason_of(response)}.",
            hint=hint,
        )

    def broken(self, error: Exception) -> RegistryError:
        """Return the error for a request that was not answered."""
        return UnreachableError(
            f"The registry {self.host} can't be reached: {root_cause(error)}.", hint=self._hint
        )

    def _run(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | BinaryIO | None,
        *,
        stream: bool,
        **options: Any,
    ) -> Any:
        import_first("azure.core.exceptions", "azure.core.rest", "aksci.oci.transport")
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, url, headers=dict(headers), content=content)
        try:
            return self._pipes().raw.run(request, stream=stream, **options).http_response
        except AzureError as error:
            raise self.broken(error) from None

    def _pipes(self) -> Pipelines:
        with self._lock:
            if self.pipelines is None:
                import_first("aksci.oci.transport")
                from aksci.oci.transport import build_pipelines

                pipelines = build_pipelines(self.host, self.scheme, **self._options)
                pipelines.raw.__enter__()
                self.pipelines = pipelines
            return self.pipelines

    def _ask_quickly(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | BinaryIO | None
    ) -> Answer | None:
        """Make the first attempt without the pipeline's cost; None for what is for that alone."""
        small = content is None or (isinstance(content, bytes) and len(content) <= _LARGEST_QUICK)
        here = urlsplit(url).netloc == self.host
        if self.quick is None or method not in _QUICK or not small or not here:
            return None
        with self._lock:
            pipelines = self.pipelines
        token = pipelines.tokens.known(method, url) if pipelines else None
        return self.quick.ask(
            method,
            url,
            {**headers, **({"Authorization": token} if token else {})},
            content if isinstance(content, bytes) else None,
        )

    def _ensure_registry(self) -> None:
        """Believe the first 404 only from a server that answers as a registry does."""
        if self._known:
            return
        response = self.send("GET", f"{self.scheme}://{self.host}/v2/")
        if response.status_code not in {200, 401}:
            raise RegistryError(
                f"{self.host} does not answer as a registry: {response.status_code} for /v2/."
            )
        self._known = True
