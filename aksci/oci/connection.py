"""One registry's connection: send a request, stream an answer, tell a refusal from "not there"."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from aksci.core.errors import ConfigError, NotFoundInRegistry, RegistryError, UnreachableError
from aksci.oci.answers import LARGEST, reason_of, root_cause
from aksci.oci.auth import Authenticator, Tokens
from aksci.oci.references import is_digest, is_repository
from aksci.oci.transport import Request, Response, Transport, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from azure.core.credentials import TokenCredential

    from aksci.core.secret import Secret

__all__ = ["Connection", "Session"]

_NOT_FOUND = 404
_BINARY = "application/octet-stream"
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
_ONLY_READS = frozenset({301, 302})
"""Redirects that only a question follows: for others, their meaning has changed over time."""
_SEE_OTHER = 303
_MOST_REDIRECTS = 5


class Session:
    """Requests to one server: with its tokens, over redirects. Several threads may use it.

    :param credential: an azure.identity credential, for ACR.
    :param login: user name and password, for registries with basic or token authentication.
    :param verify: see ``Transport``; and so ``proxy`` and ``wait``.
    """

    def __init__(
        self,
        host: str,
        scheme: str,
        *,
        credential: TokenCredential | None,
        login: tuple[str, Secret] | None,
        verify: bool | str,
        proxy: Callable[[str], str | None] | None,
        wait: Callable[[float], None],
    ) -> None:
        self._transport = Transport(verify=verify, proxy=proxy, wait=wait)
        self._tokens = Tokens(
            Authenticator(
                host=host,
                scheme=scheme,
                fetch=self._transport.send,
                credential=credential,
                login=login,
            )
        )

    def send(self, request: Request, *, stream: bool = False) -> Response:
        """Send a request, and return its answer or that of where it leads.

        :raises TransportError: nobody answers, or it leads on and on.
        :raises RegistryError: no token can be had.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._ask(request, stream=stream)
            following = _redirected(request, response)
            if following is None:
                return response
            response.close()
            request = following
        raise TransportError(f"it redirects more than {_MOST_REDIRECTS} times")

    def _ask(self, request: Request, *, stream: bool) -> Response:
        try:
            return self._tokens.send(
                request, lambda each: self._transport.send(each, stream=stream)
            )
        except ValueError as error:
            # Of what a registry, the configuration and the environment name, not all can be an
            # address or a header.
            raise TransportError(str(error)) from error

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()


def _redirected(request: Request, response: Response) -> Request | None:
    """Return the request that an answer asks for instead; its token is chosen anew."""
    status, location = response.status_code, response.headers.get("Location") or ""
    if status not in _REDIRECTS or not location:
        return None
    if status in _ONLY_READS and request.method not in {"GET", "HEAD"}:
        return None
    url = ""
    with contextlib.suppress(ValueError):  # brackets around what is no address
        url = urljoin(request.url, location)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TransportError(f"it redirects to {location[:100]!r}, which is not followed")
    content = request.content
    if content is not None and not isinstance(content, bytes):
        content.seek(0)
    if status == _SEE_OTHER:
        return replace(request, method="GET", url=url, content=None)
    return replace(request, url=url)


class Connection:
    """What the registry's client is made on. Safe to use from several threads."""

    def __init__(self, host: str, scheme: str, session: Session, *, hint: str) -> None:
        self.host = host
        self.scheme = scheme
        self.session = session
        self._hint = hint
        self._known = False

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()

    def path(self, repository: str, kind: str, name: str) -> str:
        """Return the address of something in a repository."""
        if not is_repository(repository):
            raise ConfigError(f"{repository!r} is not the name of a repository (lower case only).")
        if ":" in name and not is_digest(name):  # no tag has a colon
            raise RegistryError(
                f"{self.host}/{repository}@{name[:80]}: no digest but sha256 is checked here."
            )
        return f"{self.scheme}://{self.host}/v2/{repository}/{kind}/{quote(name, safe=':/')}"

    def location(self, base: str, location: str) -> str:
        """Return where to go on: a Location or a Link may be relative, absolute or elsewhere."""
        if not location:
            raise RegistryError(f"{self.host} began an upload without saying where (no Location).")
        try:
            parts = urlsplit(urljoin(base, location))
        except ValueError as error:
            raise RegistryError(f"{self.host} leads on to no address ({error}).") from None
        if parts.netloc == self.host:
            # Behind a proxy that ends TLS, registries are known to name themselves with http.
            return urlunsplit(parts._replace(scheme=self.scheme))
        if parts.scheme != "https":
            raise RegistryError(f"{self.host} leads on to {parts.netloc}, without TLS.")
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
        largest: int = LARGEST,
    ) -> Response:
        """Send a request and return its answer, read.

        :param once: don't repeat it when nobody knows whether the registry has acted on it.
        :param largest: bytes of the answer that are read.
        """
        given = dict(headers or {})
        if content is not None:
            given.setdefault("Content-Type", _BINARY)
        return self._run(
            Request(
                method=method,
                url=url,
                headers=given,
                content=content,
                once=once,
                largest=largest,
            )
        )

    def stream(self, url: str, headers: Mapping[str, str]) -> Response:
        """Ask for something and return its answer unread. Read it to the end, or close it."""
        return self._run(Request(method="GET", url=url, headers=headers), stream=True)

    # Answers

    def is_missing(self, response: Response) -> bool:
        """Tell whether an answer says "not there", which only a 404 of a registry does."""
        if response.status_code != _NOT_FOUND:
            return False
        self._ensure_registry()
        return True

    def require(self, response: Response, *statuses: int) -> None:
        """Refuse an answer of another status."""
        if response.status_code not in statuses:
            raise self.refusal(response)
        self._known = True

    def require_found(self, response: Response, name: str, *statuses: int) -> None:
        """Refuse an answer of another status than 200, or those named; 404 as "not there"."""
        if self.is_missing(response):
            raise NotFoundInRegistry(f"{name} does not exist in the registry.")
        self.require(response, *(statuses or (200,)))

    def refusal(self, response: Response) -> RegistryError:
        """Return the error for an answer of a status that does not fit."""
        status = response.status_code
        where = f"{response.request.method} {urlsplit(response.request.url).path}"
        hint = (
            f"log in to {self.host} as someone who may do this (ACR: role AcrPull or AcrPush)."
            if status in {401, 403}
            else None
        )
        return RegistryError(
            f"The registry {self.host} answered {status} to {where}{reason_of(response.content)}.",
            hint=hint,
        )

    def broken(self, error: Exception) -> UnreachableError:
        """Return the error for a request that was not answered."""
        return UnreachableError(
            f"The registry {self.host} can't be reached: {root_cause(error)}.", hint=self._hint
        )

    def _run(self, request: Request, *, stream: bool = False) -> Response:
        try:
            return self.session.send(request, stream=stream)
        except TransportError as error:
            raise self.broken(error) from None

    def _ensure_registry(self) -> None:
        """Take the first 404 for "not there" only from a server that answers as a registry does."""
        if self._known:
            return
        response = self.send("GET", f"{self.scheme}://{self.host}/v2/")
        # A proxy answers 404, too: taken for "not there", it would have everything built again.
        if response.status_code not in {200, 401}:
            raise RegistryError(
                f"{self.host} does not answer as a registry: {response.status_code} for /v2/."
            )
        self._known = True
