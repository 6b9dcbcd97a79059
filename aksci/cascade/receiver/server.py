"""The HTTP side of the receiver: who may speak, how much, and for how long.

One request a connection. No text of the client's is sent back or logged.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, cast

from aksci.core.errors import AksciError, Interrupted, PortTakenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.cascade.receiver.intake import Intake
    from aksci.core.reporting import Reporter
    from aksci.core.secret import Secret

__all__ = ["ReceiverServer", "open_server", "serve_beside"]

_LARGEST = 1 << 20  # bytes of a body
_PATIENCE = 15.0  # seconds for a whole request
_QUIET = 10.0  # seconds without a byte
_THREADS = 32
_DISCARDED = 4 << 20  # bytes of a refused body that are read, so that the answer arrives
_GET, _POST = "GET", "POST"
_METHODS = {
    "/acr": _POST,
    "/distribution": _POST,
    "/healthz": _GET,
    "/readyz": _GET,
    "/status": _GET,
}
_HOOKS = {"/acr": "acr", "/distribution": "distribution"}
_OPEN = frozenset({"/healthz", "/readyz"})
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


class ReceiverServer(ThreadingHTTPServer):
    """Serve requests, so many at a time, and end those that take too long."""

    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        *,
        intake: Intake,
        secret: Secret,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self.intake = intake
        self.status = status
        self._expected = f"Bearer {secret.reveal()}".encode()
        self._places = threading.BoundedSemaphore(_THREADS)
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _ReceiverHandler)

    def knows(self, authorization: str | None) -> bool:
        """Tell whether the header shows the secret, in a time that does not tell how much of it."""
        given = (authorization or "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._expected)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or send it away where there are too many."""
        if not self._places.acquire(blocking=False):
            with suppress(OSError):
                # This is the thread that accepts: a client that does not read must not hold it up.
                request.setblocking(False)
                request.send(_UNAVAILABLE)
            self.shutdown_request(request)
            return
        with self._lock:
            self._open[request] = time.monotonic() + _PATIENCE
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def service_actions(self) -> None:
        """End what takes too long; ``serve_forever`` calls this twice a second."""
        with self._lock:
            late = [each for each, end in self._open.items() if end < time.monotonic()]
            for request in late:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Tell of a connection that failed, without a traceback."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.intake.reporter.error(f"A request failed: {type(error).__name__}.")

    def _forget(self, request: Any) -> None:
        with self._lock:
            del self._open[request]
        self._places.release()


def open_server(
    listen: str, *, intake: Intake, secret: Secret, status: Callable[[], dict[str, Any]]
) -> ReceiverServer:
    """Listen at ``host:port``; ``serve_forever`` serves.

    :raises PortTakenError: something else listens there, or the address is not this machine's.
    """
    host, _, port = listen.rpartition(":")
    try:
        return ReceiverServer(
            (host.strip("[]"), int(port)), intake=intake, secret=secret, status=status
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PortTakenError(
            f"The receiver can't listen at {listen}: {reason}.",
            hint="correct [cascade.receiver] listen, or end what listens there (ss -ltnp).",
        ) from None


def serve_beside(server: ReceiverServer, work: Callable[[], None], *, reporter: Reporter) -> None:
    """Serve in a thread of its own and work in this one, where Ctrl-C arrives, until it does."""
    serving = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    host, port = server.server_address[:2]
    reporter.line(f"receiving at {host!s}:{port}")
    serving.start()
    try:
        work()
    except (KeyboardInterrupt, Interrupted):
        reporter.line("told to end; what waits is kept.")
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


class _ReceiverHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "aksci"
    sys_version = ""
    timeout = _QUIET

    @property
    def _ours(self) -> ReceiverServer:
        return cast("ReceiverServer", self.server)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        method = _METHODS.get(path)
        if method is None:
            self._answer(404, {"error": "there is nothing here"})
        # Before the method: without the secret, an address says no more than that it wants one.
        elif path not in _OPEN and not self._ours.knows(self.headers.get("Authorization")):
            self._answer(401, {}, {"WWW-Authenticate": "Bearer"})
        elif self.command != method:
            self._answer(405, {"error": "method not allowed"}, {"Allow": method})
        elif path in _HOOKS:
            self._take(cast("Literal['acr', 'distribution']", _HOOKS[path]))
        else:
            self._tell(path)

    def _tell(self, path: str) -> None:
        if path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif path == "/readyz":
            able = self._ours.intake.ready()
            self._answer(200 if able else 503, {"status": "ok" if able else "can't store events"})
        else:
            try:
                self._answer(200, self._ours.status())
            except AksciError:
                self._answer(503, {"error": "the queue can't be read"})

    def _take(self, source: Literal["acr", "distribution"]) -> None:
        length = self.headers.get("Content-Length", "")
        # A chunked body does not say beforehand how long it is.
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            self._answer(411, {"error": "Content-Length is required"})
            return
        # Its digits first: int() is slow with very many of them, or refuses them.
        if len(length) > len(str(_LARGEST)) or int(length) > _LARGEST:
            self._answer(413, {"error": f"more than {_LARGEST} bytes"})
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # it went away, or took too long
            self.close_connection = True
            return
        reply = self._ours.intake.receive(source, body)
        self._answer(reply.status, {"status": reply.text}, unread=0)

    def _answer(
        self,
        status: int,
        document: dict[str, Any],
        headers: dict[str, str] | None = None,
        *,
        unread: int = _DISCARDED,
    ) -> None:
        self.close_connection = True
        content = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        if unread and self.command == _POST:
            self._discard(unread)

    def _discard(self, most: int) -> None:
        """Read what still comes: to close before that would take the answer back (TCP's reset)."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while most > 0 and (piece := self.rfile.read1(1 << 16)):
                most -= len(piece)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what can't even be read, without repeating it."""
        del message, explain
        # The request line could not be read, so none of these may be set.
        self.command = self.command or ""
        self.requestline = ""
        self.request_version = self.protocol_version
        self._answer(code, {"error": "the request can't be understood"})

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tell of each request but the probes'."""
        del size
        path = self.path.partition("?")[0] if getattr(self, "path", None) else ""
        if path not in _OPEN:
            place = path if path in _METHODS else "another address"
            self._ours.intake.reporter.line(f"{self.client_address[0]}: {place}: {int(code)}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing more."""
