"""The HTTP side of the receiver: who may speak, how much, and for how long.

One request a connection. No text of the client's is sent back or logged.

A connection that has not shown the secret costs some kilobytes, and no thread. It has a few seconds
to send its headers; where there are too many, the oldest of them makes room for the newest. So
probes are answered, and webhooks get in, however many connections are open and silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hmac
import json
import resource
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, cast

from aksci.cascade.receiver.request_head import LARGEST_HEAD, RequestHead
from aksci.core.errors import AksciError, Interrupted, PortTakenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.cascade.receiver.intake import Intake, Reply
    from aksci.core.reporting import Reporter
    from aksci.core.secret import Secret

__all__ = ["ReceiverServer", "open_server", "serve_beside"]

_LARGEST = 1 << 20  # bytes of a body
_PATIENCE = 15.0  # seconds for a whole request
_HEAD_PATIENCE = 5.0  # seconds for its line and its headers
_FAREWELL = 5.0  # seconds in which a client may read its answer
_UNPROVEN = 256  # connections that have not shown the secret
_PROVEN = 32  # requests with it, at once; each may hold a whole body
_STORING = 2  # threads
_QUEUE = 512  # connections that wait in the kernel
_BREATH = 0.01  # seconds after a connection that could not be accepted
_SPARED = 128  # file descriptors for all else: the queue, the cascade's pipes, requests
_FEWEST = 16
_DISCARDED = 4 << 20  # bytes of a refused body that are read, so that the answer arrives
_TOLD = 60  # lines of the log about refused requests, in each minute
_MINUTE = 60.0
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
_END = b"\r\n\r\n"


class ReceiverServer:
    """Serve requests: one loop reads and answers, and a few threads store what has come."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        intake: Intake,
        secret: Secret,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self.intake = intake
        self._status = status
        self._expected = f"Bearer {secret.reveal()}".encode()
        self._most = _most_unproven()
        # In the order in which they came.
        self._unproven: dict[asyncio.StreamWriter, None] = {}
        self._proven: set[asyncio.StreamWriter] = set()
        self._readiness: asyncio.Future[bool] | None = None
        self._told = 0
        self._told_until = 0.0
        self._ending: Future[None] = Future()
        self._idle = threading.Event()
        self._idle.set()
        self._socket = _listen(address)
        self.server_address = self._socket.getsockname()
        self._storing = ThreadPoolExecutor(_STORING, thread_name_prefix="storing")
        # A probe does not wait for what is being stored.
        self._probing = ThreadPoolExecutor(1, thread_name_prefix="probing")

    def serve_forever(self) -> None:
        """Serve in the thread that calls this, until ``shutdown``."""
        self._idle.clear()
        try:
            asyncio.run(self._serve())
        finally:
            self._idle.set()

    def shutdown(self) -> None:
        """Let ``serve_forever`` end, and wait for it; from another thread."""
        with contextlib.suppress(Exception):  # it was told before
            self._ending.set_result(None)
        self._idle.wait()

    def server_close(self) -> None:
        """Give the port free, once what is being stored is on the disk."""
        self._socket.close()
        for each in (self._storing, self._probing):
            each.shutdown()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._problem(context.get("exception")))
        accepting = loop.create_task(self._accept())
        await asyncio.wrap_future(self._ending)
        accepting.cancel()

    async def _accept(self) -> None:
        """Take connections one by one, so that those who are here are served in between."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError as error:  # no file descriptor is free, say
                self._problem(error)
                self._make_room()
                await asyncio.sleep(_BREATH)
                continue
            with contextlib.suppress(OSError):  # it has gone already
                await self._open(connection)

    async def _open(self, connection: socket.socket) -> None:
        # The limit is of what is read ahead, and so of the headers.
        reader = asyncio.StreamReader(limit=LARGEST_HEAD)
        protocol = asyncio.StreamReaderProtocol(reader, self._connected)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: protocol, connection)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._unproven[writer] = None
        if len(self._unproven) > self._most:
            self._make_room()
        try:
            await _Exchange(self, reader, writer).serve()
        except (OSError, EOFError):  # it went away, was sent away, or took too long
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - one request must not end the receiver
            self.intake.reporter.error(f"A request failed: {type(error).__name__}.")
            writer.transport.abort()
        finally:
            self._unproven.pop(writer, None)
            self._proven.discard(writer)
            writer.close()

    def _make_room(self) -> None:
        """End the oldest connection that has not shown the secret."""
        if self._unproven:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.transport.abort()

    def knows(self, authorization: str | None) -> bool:
        """Tell whether the header shows the secret, in a time that does not tell how much of it."""
        given = (authorization or "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._expected)

    def admit(self, writer: asyncio.StreamWriter) -> bool:
        """Let a connection stay, since it has shown the secret; False: there are too many."""
        if len(self._proven) >= _PROVEN:
            return False
        self._unproven.pop(writer, None)
        self._proven.add(writer)
        return True

    async def receive(self, source: Literal["acr", "distribution"], body: bytes) -> Reply:
        """Take an event in; it is on the disk when this returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._storing, self.intake.receive, source, body)

    async def status(self) -> dict[str, Any]:
        """Return what the queue holds."""
        return await asyncio.get_running_loop().run_in_executor(self._storing, self._status)

    async def ready(self) -> bool:
        """Tell whether events can be stored; those who ask at once share one look."""
        if self._readiness is None or self._readiness.done():
            loop = asyncio.get_running_loop()
            self._readiness = loop.run_in_executor(self._probing, self.intake.ready)
        # One client that goes away must not take the answer from the others.
        return await asyncio.shield(self._readiness)

    def tell(self, text: str, *, proven: bool) -> None:
        """Log a request; of those without the secret, so many a minute, and then their number."""
        reporter, now = self.intake.reporter, asyncio.get_running_loop().time()
        if proven:
            reporter.line(text)
            return
        if now >= self._told_until:
            if self._told > _TOLD:
                reporter.line(f"{self._told - _TOLD} more requests were refused.")
            self._told, self._told_until = 0, now + _MINUTE
        self._told += 1
        if self._told <= _TOLD:
            reporter.line(text)

    def _problem(self, error: BaseException | None) -> None:
        """Tell what went wrong outside of a request, such as no free file descriptor."""
        reason = getattr(error, "strerror", None) or type(error).__name__
        self.tell(f"A connection could not be served: {reason}.", proven=False)


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        # Connections of a receiver that has ended may linger at the port (TCP's TIME-WAIT).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_QUEUE)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _most_unproven() -> int:
    """Return how many connections may stay without the secret, by the process's own limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _UNPROVEN
    return max(_FEWEST, min(_UNPROVEN, soft - _SPARED))


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
        serving.join()
        server.server_close()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, server: ReceiverServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._place = ""
        self._proven = False

    async def serve(self) -> None:
        """Read the request, as far as it is wanted, and answer it.

        :raises OSError: it took too long, or the connection broke.
        :raises EOFError: the client has left.
        """
        async with asyncio.timeout(_PATIENCE):
            try:
                async with asyncio.timeout(_HEAD_PATIENCE):
                    head = RequestHead(await self._reader.readuntil(_END))
            except asyncio.LimitOverrunError:
                await self._refuse_long()
                return
            source = await self._decide(head)
            body = await self._body(head) if source else None
        if source and body is not None:
            # Outside of the time limit: what is being stored is answered, however slow the disk.
            reply = await self._server.receive(source, body)
            self._answer(reply.status, {"status": reply.text})

    async def _decide(self, head: RequestHead) -> Literal["acr", "distribution"] | None:
        """Answer all that needs no body; return where an event is to go."""
        self._place = head.place
        method = _METHODS.get(head.place)
        if head.refused:
            await self._refuse(head.refused, {"error": "the request can't be understood"})
        elif method is None:
            await self._refuse(404, {"error": "there is nothing here"})
        # Before the method: without the secret, an address says no more than that it wants one.
        elif head.place not in _OPEN and not self._shows_secret(head):
            await self._refuse(401, {}, {"WWW-Authenticate": "Bearer"})
        elif head.command != method:
            await self._refuse(405, {"error": "method not allowed"}, {"Allow": method})
        elif self._proven and not self._server.admit(self._writer):
            await self._refuse(503, {"error": "too many requests at once"}, {"Retry-After": "5"})
        elif head.place not in _HOOKS:
            await self._tell(head.place)
        else:
            return cast("Literal['acr', 'distribution']", _HOOKS[head.place])
        return None

    def _shows_secret(self, head: RequestHead) -> bool:
        self._proven = self._server.knows(head.headers.get("Authorization"))
        return self._proven

    async def _tell(self, place: str) -> None:
        if place == "/healthz":
            self._answer(200, {"status": "ok"})
        elif place == "/readyz":
            able = await self._server.ready()
            self._answer(200 if able else 503, {"status": "ok" if able else "can't store events"})
        else:
            try:
                self._answer(200, await self._server.status())
            except AksciError:
                self._answer(503, {"error": "the queue can't be read"})

    async def _body(self, head: RequestHead) -> bytes | None:
        """Return the body of an event; None: it was refused."""
        length = head.headers.get("Content-Length", "")
        # A chunked body does not say beforehand how long it is.
        if "Transfer-Encoding" in head.headers or not (length.isascii() and length.isdecimal()):
            await self._refuse(411, {"error": "Content-Length is required"})
            return None
        # Its digits first: int() is slow with very many of them, or refuses them.
        if len(length) > len(str(_LARGEST)) or int(length) > _LARGEST:
            await self._refuse(413, {"error": f"more than {_LARGEST} bytes"})
            return None
        if head.waits:
            self._writer.write(b"HTTP/1.1 100 Continue" + _END)
        return await self._reader.readexactly(int(length))

    async def _refuse_long(self) -> None:
        """Refuse headers that are too long, or a line of the request that is."""
        line_ended = b"\r\n" in await self._reader.read(LARGEST_HEAD)
        await self._refuse(431 if line_ended else 414, {"error": "the request can't be understood"})

    async def _refuse(
        self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        """Answer, and read what still comes.

        To close before that would take the answer back (TCP's reset).
        """
        self._answer(status, document, headers)
        left = _DISCARDED
        with contextlib.suppress(OSError):
            self._writer.write_eof()
            async with asyncio.timeout(_FAREWELL):
                while left > 0 and (piece := await self._reader.read(1 << 16)):
                    left -= len(piece)

    def _answer(
        self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        if self._place not in _OPEN:  # probes come all the time
            client = (self._writer.get_extra_info("peername") or ("a client",))[0]
            place = self._place if self._place in _METHODS else "another address"
            self._server.tell(f"{client}: {place}: {status}", proven=self._proven)
        content = json.dumps(document).encode()
        lines = {
            "Server": "aksci",
            "Date": email.utils.formatdate(usegmt=True),
            **(headers or {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
        }
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        self._writer.write(head.encode() + b"\r\n" + content)
