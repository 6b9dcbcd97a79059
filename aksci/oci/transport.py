"""HTTP to registries: connections that are kept, retries, proxies, certificates, bounded answers.

One transport for all: urllib3's pools. It knows nothing of tokens (``aksci.oci.auth``) and follows
no redirect (``aksci.oci.connection``). urllib3 is imported when the first request is made.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from aksci.core.concurrency import import_first
from aksci.core.errors import RegistryError
from aksci.oci.answers import LARGEST, require_size

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from urllib3 import PoolManager

    from aksci.oci.retry import RegistryRetry

__all__ = ["Request", "Response", "Transport", "TransportError"]

_CONNECT = 10.0  # seconds
_TIMEOUT = 60.0  # seconds without a byte
_CONNECTIONS = 32
_PIECE = 1 << 16  # bytes of an answer that are read at a time
_PATIENCE = 300.0  # seconds; after these, an answer must have come at a pace
_SLOWEST = 1024.0  # bytes a second
_now = time.monotonic


class TransportError(Exception):
    """A request was not answered; the cause is in ``__cause__``."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | BinaryIO | None = None
    once: bool = False
    """Don't repeat it when nobody knows whether the registry has acted on it."""
    largest: int = LARGEST
    """Bytes of an answer that are held in memory."""


@dataclass(kw_only=True)
class Response:
    """What was answered; ``content`` is there once it was read."""

    request: Request
    status_code: int
    headers: Mapping[str, str]
    """Their names match whatever their case."""
    content: bytes = b""
    raw: Any = field(default=None, repr=False)
    """urllib3's."""
    _read: bool = field(default=False, init=False, repr=False)

    def read(self) -> bytes:
        """Read all of it, no more than may be held in memory, and give the connection back.

        :raises RegistryError: it is too large.
        :raises TransportError: it breaks off.
        """
        with _told():
            return self.load()

    def iter_raw(self) -> Iterator[bytes]:
        """Yield it in pieces, as it came: never decoded, whatever its headers say.

        :raises TransportError: it breaks off.
        """
        with _told():
            yield from self._pieces(decode=False)

    def close(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        if self.raw is None:
            return
        if self.raw.closed:  # read to its end: the connection can be kept
            self.raw.release_conn()
        else:
            self.raw.close()

    def load(self) -> bytes:
        """Do what ``read`` does, and let urllib3's own errors out."""
        if self.raw is not None and not self._read:
            self._read = True
            with contextlib.closing(self):
                self.content = self._bounded()
        return self.content

    def _bounded(self) -> bytes:
        host = urlsplit(self.request.url).netloc
        # Nothing follows HEAD, whatever it tells.
        require_size(self.raw.length_remaining or 0, host, self.request.largest)
        content = bytearray()
        for piece in self._pieces(decode=True):
            content += piece
            require_size(len(content), host, self.request.largest)
        return bytes(content)

    def _pieces(self, *, decode: bool) -> Iterator[bytes]:
        """Yield what comes as it comes, and give up what would never end.

        :raises RegistryError: it is too slow: a byte a minute would pass any other limit, and any
            number of attempts, since each gets on.
        """
        if decode and self.headers.get("Content-Encoding"):
            yield from self.raw.stream(_PIECE, decode_content=True)
            return
        began, seen = _now(), 0
        while piece := self.raw.read1(_PIECE, decode_content=False):
            seen += len(piece)
            yield piece
            seconds = _now() - began
            if seconds > _PATIENCE and seen < seconds * _SLOWEST:
                host = urlsplit(self.request.url).netloc
                raise RegistryError(
                    f"{host} has sent {seen:,} bytes in {seconds:.0f} s, and was given up.",
                    hint="check the network and the proxy.",
                )


class Transport:
    """Connections to any host. Several threads may use it.

    :param verify: whether TLS certificates are checked, or the file or folder of certificates to
        check them with; True: certifi's. Nothing is taken from the environment.
    :param proxy: returns the address of the proxy that leads to a URL, such as
        ``http://user:password@proxy:3128``, or None.
    :param wait: is told of each wait between attempts, in seconds, and waits.
    """

    def __init__(
        self,
        *,
        verify: bool | str,
        proxy: Callable[[str], str | None] | None,
        wait: Callable[[float], None],
    ) -> None:
        self._verify = verify
        self._proxy = proxy or (lambda _: None)
        self._wait = wait
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], PoolManager] = {}
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request, *, stream: bool = False) -> Response:
        """Send a request until it is answered for good, and return the answer.

        :param stream: return it unread. Read it to the end, or close it.
        :raises TransportError: nobody answers.
        :raises RegistryError: the answer is larger than memory should hold.
        """
        if not self._pools:  # the first request, of several threads perhaps
            import_first("urllib3", "aksci.oci.retry")
        with _told():
            return self._send(request, stream=stream)

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _send(self, request: Request, *, stream: bool) -> Response:
        from urllib3.exceptions import HTTPError

        retry = self._retry(request)
        while True:
            try:
                response = self._ask(request)
                if (after := _given_up(response, retry)) is not None:
                    retry = after
                    continue
                if not stream:
                    response.load()
            except HTTPError as error:
                retry = retry.increment(request.method, request.url, error=error)
                retry.sleep()
            else:
                return response

    def _ask(self, request: Request) -> Response:
        from urllib3 import Timeout

        headers = {
            "User-Agent": "aksci",
            "Accept-Encoding": "identity",  # digests are of the bytes as stored
            **request.headers,
        }
        content = request.content
        if content is not None and not isinstance(content, bytes):
            headers["Content-Length"] = str(_length(content))  # else it is sent in chunks
        raw = self._pool(request.url).urlopen(
            request.method,
            request.url,
            body=content,
            headers=headers,
            # RegistryRetry decides, in _send: urllib3 would read a transient answer to its end.
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=Timeout(connect=_CONNECT, read=_TIMEOUT),
        )
        return Response(request=request, status_code=raw.status, headers=raw.headers, raw=raw)

    def _retry(self, request: Request) -> RegistryRetry:
        from aksci.oci.retry import RegistryRetry

        if request.content is None or isinstance(request.content, bytes):
            return RegistryRetry(once=request.once, wait=self._wait)
        # A file was read as it was sent: whoever opened it begins anew (see Blobs.put_file).
        return RegistryRetry(once=request.once, wait=self._wait, attempts=1)

    def _pool(self, url: str) -> PoolManager:
        scheme, proxy = urlsplit(url).scheme, self._proxy(url) or ""
        with self._lock:
            if (scheme, proxy) not in self._pools:
                self._pools[scheme, proxy] = self._make_pool(scheme, proxy)
            return self._pools[scheme, proxy]

    def _make_pool(self, scheme: str, proxy: str) -> PoolManager:
        import urllib3

        options: dict[str, Any] = {"maxsize": _CONNECTIONS}
        if scheme == "https":
            options["ssl_context"] = self._trusted()
            options["cert_reqs"] = "CERT_REQUIRED" if self._verify else "CERT_NONE"
        if not proxy:
            return urllib3.PoolManager(**options)
        parts = urlsplit(proxy)
        if parts.scheme == "https":
            options["proxy_ssl_context"] = self._trusted()
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login) if parts.username else None
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return urllib3.ProxyManager(address, proxy_headers=headers, **options)

    def _trusted(self) -> ssl.SSLContext:
        """Return the one context of all connections: reading the bundle takes 20 ms."""
        self._context = self._context or _trusting(self._verify)
        return self._context


def _given_up(response: Response, retry: RegistryRetry) -> RegistryRetry | None:
    """Close a transient answer, wait, and return what attempts are left; None: it has to do.

    It isn't read, as urllib3 would: nobody knows how long it is.
    """
    from urllib3.exceptions import MaxRetryError

    if not retry.is_retry(response.request.method, response.status_code):
        return None
    try:
        left = retry.increment(response=response.raw)
    except MaxRetryError:
        return None
    response.close()
    left.sleep(response.raw)
    return left


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Let whatever goes wrong below be one kind of error."""
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    try:
        yield
    except (HTTPError, HTTPException, OSError) as error:
        raise TransportError(str(error)) from error


def _trusting(verify: bool | str) -> ssl.SSLContext:
    """Trust the certificates of a bundle and no others. One context serves all connections.

    Names are compared with the certificate's alternative names, never a common name; TLS from 1.2.
    """
    import ssl
    from pathlib import Path

    from urllib3.util.ssl_ import create_urllib3_context

    if not verify:
        return create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context = create_urllib3_context()
    bundle = verify
    if not isinstance(bundle, str):
        import certifi

        bundle = certifi.where()
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def _length(content: BinaryIO) -> int:
    here = content.tell()
    end = content.seek(0, 2)
    content.seek(here)
    return end - here
