"""A registry of one image, on loopback, for as long as one scan takes.

The scanner asks it instead of the real one: it needs no credentials and sees only the view.
Distribution specification 1.1, "Pull".
"""

from __future__ import annotations

import contextlib
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aksci.core.errors import AksciError, GateError, RegistryError
from aksci.oci.references import ImageRef
from aksci.supply.scan.image_view import View, config_of, make_view

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from aksci.oci.registry import Registry

__all__ = ["Serving", "read_view", "serve_view"]

_LOOPBACK = "127.0.0.1"
_POLL = 0.05  # seconds
_PATIENCE = 10.0  # seconds that a layer may still be on its way when the scanner has ended
_CONFIG = "application/octet-stream"


def read_view(registry: Registry, ref: ImageRef) -> View:
    """Read an image's manifest and configuration, and return what to show of it.

    :raises GateError: they can't be read, or are not understood.
    """
    if ref.registry != registry.host:
        raise GateError(f"{ref} could not be scanned: it is not on {registry.host}.")
    try:
        manifest = registry.manifest(ref.repository, ref.digest)
        digest, size = config_of(manifest, ref)
        pieces = registry.stream_blob(ref.repository, digest)
        config = b"".join(_all_but_unchecked(pieces, digest, size))
    except RegistryError as error:
        raise GateError(
            f"{ref} could not be scanned, so it does not pass.\n\n{error.message}", hint=error.hint
        ) from None
    return make_view(manifest, config, ref)


@contextlib.contextmanager
def serve_view(view: View, registry: Registry, ref: ImageRef) -> Iterator[Serving]:
    """Serve a view, with the layers from the image's registry."""
    server = Serving(view, registry, ref)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="view", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Serving(ThreadingHTTPServer):
    """The server. What went wrong is remembered: the scanner need not have noticed it."""

    daemon_threads = True

    def __init__(self, view: View, registry: Registry, ref: ImageRef) -> None:
        super().__init__((_LOOPBACK, 0), _LayerHandler)
        self.view = view
        self.registry = registry
        self.repository = ref.repository
        self.name = ImageRef(f"{_LOOPBACK}:{self.server_port}", ref.repository, view.digest)
        """Under which the scanner finds the view."""
        self._changed = threading.Condition()
        self._open = 0
        self._problem = ""

    def problem(self) -> str:
        """Tell why what the scanner saw was not everything; empty: it was.

        To be asked when the scanner has ended.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, _PATIENCE):
                return "The scanner did not wait for all layers."
            return self._problem

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Count a layer that is being sent, and remember if it is not sent to its end."""
        with self._changed:
            self._open += 1
        problem = "A layer was not sent to its end."
        try:
            yield
            problem = ""
        except AksciError as error:
            problem = error.message
            raise
        except OSError:
            problem = "The scanner did not read a layer to its end."
            raise
        finally:
            with self._changed:
                self._open -= 1
                self._problem = self._problem or problem
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: ``problem`` does."""


class _LayerHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the view's manifest, its configuration and its layers."""

    protocol_version = "HTTP/1.1"
    server: Serving

    def do_GET(self) -> None:
        """Answer with the content."""
        self._answer(send=True)

    def do_HEAD(self) -> None:
        """Answer without it."""
        self._answer(send=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Log nothing."""

    def _answer(self, *, send: bool) -> None:
        view = self.server.view
        manifest = {f"manifests/{view.digest}": (view.media_type, view.manifest)}
        config = {f"blobs/{view.config_digest}": (_CONFIG, view.config)}
        place = self.path.removeprefix(f"/v2/{self.server.repository}/")
        kind, content = (manifest | config).get(place, ("", b""))
        digest = place.removeprefix("blobs/")
        if self.path == "/v2/":
            self._begin("application/json", 2)
            self.wfile.write(b"{}" if send else b"")
        elif place != self.path and kind:
            self._begin(kind, len(content), place.rpartition("/")[2])
            self.wfile.write(content if send else b"")
        elif place not in {self.path, digest} and digest in view.layers:
            self._layer(digest, view.layers[digest], send=send)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _begin(self, kind: str, size: int, digest: str = "") -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def _layer(self, digest: str, size: int, *, send: bool) -> None:
        if not send:
            self._begin(_CONFIG, size, digest)
            return
        # Should the layer end early, the scanner has to see it: it would wait for the rest.
        self.close_connection = True
        server = self.server
        with (
            server.reading(),
            contextlib.closing(server.registry.stream_blob(server.repository, digest)) as pieces,
        ):
            self._begin(_CONFIG, size, digest)
            for piece in _all_but_unchecked(pieces, digest, size):
                self.wfile.write(piece)
        self.close_connection = False


def _all_but_unchecked(
    pieces: Generator[bytes, None, None], digest: str, size: int
) -> Iterator[bytes]:
    """Yield a blob; its last piece only when its size and its digest have been checked.

    So a layer that is not what it should be looks cut off to whoever reads it.
    """
    held, left = b"", size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        if held:
            yield held
        held = piece
    if left:
        raise RegistryError(f"The blob {digest} has not the size that its manifest tells.")
    yield held
