"""The first attempt at a request, over a kept connection and without a pipeline's cost.

Most questions to a registry have one of two plain answers, and most writes are taken. All else
``RegistryClient`` takes through its pipeline, where this answer counts as the first attempt.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.oci.answers import LARGEST, require_size

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "QuickLane"]

_CONNECT = 10.0  # seconds
_TIMEOUT = 60.0  # seconds without a byte
_STALE = (http.client.BadStatusLine, ConnectionError, ssl.SSLEOFError)
"""How a kept connection fails that the server has closed meanwhile. RFC 9112, section 9.3.1."""
_QUESTIONS = frozenset({"GET", "HEAD"})
_ANSWERED = frozenset({200, 404})
_TAKEN = frozenset({201, 202})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a registry said, or how it could not be asked; shaped as azure.core's responses are."""

    request: Any
    """The HttpRequest that stands for it in the pipeline, if it gets there."""
    authorization: str | None
    """What the question was sent with."""
    status_code: int = 0
    headers: Mapping[str, str]
    """Their names match whatever their case."""
    content: bytes = b""
    failure: Exception | None = None

    @property
    def plain(self) -> bool:
        """Whether it is a clear yes or no, or a write was taken. All else is for the pipeline."""
        good = _ANSWERED if self.request.method in _QUESTIONS else _TAKEN
        return self.failure is None and self.status_code in good


@dataclass(frozen=True)
class Asked:
    """What was asked, as far as messages about the answer need it."""

    method: str
    url: str


class QuickLane:
    """Connections to one host. Several threads may ask at once.

    Certificates and names are checked as ``requests`` does: against one bundle, never a common
    name, from TLS 1.2 on.

    :param bundle: the file or folder of certificates to trust; empty: certifi's.
    """

    def __init__(self, scheme: str, host: str, *, bundle: str = "") -> None:
        parts = urlsplit(f"//{host}")
        self._address = (parts.hostname or host, parts.port)
        self._bundle = bundle
        self._context: ssl.SSLContext | None = None
        self._secure = scheme == "https"
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._finalizer = weakref.finalize(self, _close, self._idle)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer | None:
        """Send one request; None where only the pipeline can.

        It decodes what was compressed unasked, and says what is wrong with a certificate.

        :param content: what is written. It may arrive twice, if the server closes a connection.
        """
        asked = Asked(method, url)
        used = headers.get("Authorization")
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            response, body = self._ask(method, path, headers, content)
        except ssl.SSLError:
            return None
        except (OSError, http.client.HTTPException) as error:
            return Answer(request=asked, authorization=used, headers={}, failure=error)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return None
        return Answer(
            request=asked,
            authorization=used,
            status_code=response.status,
            headers=response.headers,  # type: ignore[arg-type]
            content=body,
        )

    def close(self) -> None:
        """Close the kept connections."""
        _close(self._idle)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Use a kept connection, and once more a new one where that has gone stale."""
        with contextlib.suppress(IndexError):
            kept = self._idle.pop()
            try:
                return self._over(kept, method, path, headers, content)
            except _STALE:
                pass
        return self._over(self._connect(), method, path, headers, content)

    def _over(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            connection.request(method, path, body=content, headers=dict(headers))
            response = connection.getresponse()
            body = _read(response, self._address[0])
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return response, body

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address
        connection: http.client.HTTPConnection
        if self._secure:
            context = self._context = self._context or _trusting(self._bundle)
            connection = http.client.HTTPSConnection(host, port, timeout=_CONNECT, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_CONNECT)
        connection.connect()
        connection.sock.settimeout(_TIMEOUT)
        return connection


def _read(response: http.client.HTTPResponse, host: str) -> bytes:
    """Read an answer whose length was not told no further than is allowed."""
    if response.length is None:
        content = response.read(LARGEST + 1)
        require_size(len(content), host)
        return content
    require_size(response.length, host)
    return response.read()


def _close(idle: deque[http.client.HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _trusting(bundle: str) -> ssl.SSLContext:
    """Trust the certificates of a bundle and no others."""
    from pathlib import Path

    if not bundle:
        import certifi

        bundle = certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate and its host's name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context
