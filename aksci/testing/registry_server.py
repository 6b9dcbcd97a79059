"""A registry over HTTP on loopback, for tests of what speaks the protocol: ``serve``."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.registry_answers import ReceivedRequest, RegistryServer

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Generator, Iterable, Mapping

__all__ = ["serve"]


@contextlib.contextmanager
def serve(
    registry: MemoryRegistry | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Generator[RegistryServer, None, None]:
    """Serve a registry, or an empty one, on a free port of 127.0.0.1 while the context lasts.

    :param tls: with the server's certificate.
    :param options: fields of ``RegistryServer``, such as ``login``.
    """
    kept = RegistryServer(registry=registry or MemoryRegistry(), **options)
    httpd = _Httpd(("127.0.0.1", 0), _RegistryHandler)
    httpd.kept = kept
    if tls:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    kept.host = f"127.0.0.1:{httpd.server_port}"
    # Seldom polled, a server takes half a second to stop; a suite starts hundreds.
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Httpd(ThreadingHTTPServer):
    # A client that keeps its connection must not keep the tests from ending.
    daemon_threads = True
    kept: RegistryServer

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Say nothing: a client that hangs up is often the test."""


class _RegistryHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer: two would wait for each other
    server: _Httpd

    def setup(self) -> None:
        super().setup()
        self._left = self.server.kept.keep_alive
        with self.server.kept.lock:
            self.server.kept.connections += 1

    def _respond(self) -> None:
        kept = self.server.kept
        # azure-containerregistry writes the slash of a repository so.
        line = f"{self.command} {self.path.partition('?')[0].replace('%2F', '/')}"
        line += "".join(self.path.partition("?")[1:])
        asked = ReceivedRequest(line, dict(self.headers), self._body())
        with kept.under_way(asked):
            status, headers, content = kept.answer(asked)
        # Silence, as of a firewall that drops packets.
        if status < 0:
            time.sleep(-status)
        if status <= 0:
            self.close_connection = True
            return
        self._send(status, headers, content)
        self._left -= 1
        # Without a word: a registry's load balancer does so, and clients have to bear it.
        self.close_connection = self.close_connection or self._left <= 0

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815 - its names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _send(
        self, status: int, headers: Mapping[str, str], content: bytes | Iterable[bytes]
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if isinstance(content, bytes) and status != 204:  # noqa: PLR2004 - it has no content and no length. RFC 9110, 8.6
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # Headers as for GET, length included, and no body (RFC 9110, 9.3.2).
        if self.command == "HEAD":
            return
        if isinstance(content, bytes):
            blob = "/blobs/" in self.path and self.command == "GET" and len(content) > 1
            if blob and self.server.kept.take("break_reads"):
                content, self.close_connection = content[: len(content) // 2], True
            content = (content,)
        with contextlib.suppress(ConnectionError):  # whoever asked may have been killed
            for piece in content:
                self.wfile.write(piece)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
