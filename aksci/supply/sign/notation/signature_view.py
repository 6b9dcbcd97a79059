"""A registry of one digest and some of its signatures, on loopback, for notation to judge.

notation reads all signatures of a digest, in the order of the registry's list, up to a number: a
user with push access could put any number before the one that counts. So it is shown those that may
be by a key of ours. They are what the registry holds, byte for byte: notation, too, takes each by
its digest. Distribution specification 1.1, "Pull" and "Listing Referrers".
"""

from __future__ import annotations

import contextlib
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aksci.oci.manifest import OCI_INDEX
from aksci.oci.references import ImageRef
from aksci.supply.sign.notation.stored_signatures import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aksci.oci.manifest import Manifest
    from aksci.supply.sign.notation.stored_signatures import StoredSignature

__all__ = ["serve_signatures"]

_LOOPBACK = "127.0.0.1"
_POLL = 0.05  # seconds
_BINARY = "application/octet-stream"


@contextlib.contextmanager
def serve_signatures(
    target: Manifest, signatures: Sequence[StoredSignature], ref: ImageRef
) -> Iterator[ImageRef]:
    """Serve a digest with some of its signatures; yield the name by which it is found there."""
    with ThreadingHTTPServer((_LOOPBACK, 0), _ViewHandler) as server:
        server.daemon_threads = True
        server.answers = _answers(target, signatures, ref)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True)
        thread.start()
        try:
            yield ImageRef(f"{_LOOPBACK}:{server.server_port}", ref.repository, ref.digest)
        finally:
            server.shutdown()
            thread.join()


def _answers(
    target: Manifest, signatures: Sequence[StoredSignature], ref: ImageRef
) -> dict[str, tuple[str, bytes]]:
    """Return media type and content of each path."""
    entries = [
        {
            "mediaType": one.manifest.media_type,
            "artifactType": SIGNATURE,
            "digest": one.manifest.digest,
            "size": len(one.manifest.content),
            "annotations": one.manifest.annotations,
        }
        for one in signatures
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    found = {
        "/v2/": ("application/json", b"{}"),
        f"/v2/{ref.repository}/referrers/{ref.digest}": (OCI_INDEX, json.dumps(index).encode()),
    }
    for manifest in (target, *(one.manifest for one in signatures)):
        place = f"/v2/{ref.repository}/manifests/{manifest.digest}"
        found[place] = (manifest.media_type, manifest.content)
    for one in signatures:
        found[f"/v2/{ref.repository}/blobs/{one.layer.digest}"] = (_BINARY, one.data)
    return found


class _ViewHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits 40 ms (delayed ACK)

    def do_GET(self) -> None:
        """Answer with the content."""
        self._answer(send=True)

    def do_HEAD(self) -> None:
        """Answer without it."""
        self._answer(send=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Log nothing."""

    def _answer(self, *, send: bool) -> None:
        place = self.path.partition("?")[0]
        media_type, content = self.server.answers.get(place, ("", b""))  # type: ignore[attr-defined]
        if not media_type:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        if "/manifests/" in place:
            self.send_header("Docker-Content-Digest", place.rpartition("/")[2])
        self.end_headers()
        if send:
            self.wfile.write(content)
