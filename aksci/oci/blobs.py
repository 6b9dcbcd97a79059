"""Blobs of any size in bounded memory: read on after an interruption, write in chunks, mount.

Distribution specification 1.1, "Pulling blobs", "Pushing a blob in chunks" and "Mounting a blob
from another repository". Nothing of a blob can be seen before it is whole and has its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from aksci.core.errors import RegistryError, UnreachableError
from aksci.oci.answers import require_same
from aksci.oci.references import digest_of, is_digest
from aksci.oci.transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path
    from typing import BinaryIO

    from aksci.oci.connection import Connection
    from aksci.oci.transport import Response

__all__ = ["Blobs"]

CHUNK = 4 << 20
"""Bytes that are held in memory for one blob; and the largest that is sent in one piece."""
_ATTEMPTS = 3
_READ_ATTEMPTS = 5
"""How often reading may be interrupted without a single byte of progress."""
_FIRST_WAIT = 0.2  # seconds; doubled for each further attempt
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-")


class _OutOfStepError(RegistryError):
    """The registry has lost an upload, or has another part of it than we can go on from."""


class Blobs:
    """The blobs of one registry. Several threads may use it.

    :param sleep: waits between attempts, in seconds.
    """

    def __init__(
        self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = connection
        self._sleep = sleep

    def has(self, repository: str, digest: str) -> bool:
        """Tell whether a blob is stored: False only when the registry answers 404."""
        response = self._connection.send("HEAD", self._path(repository, digest))
        if self._connection.is_missing(response):
            return False
        self._connection.require(response, 200)
        return True

    def read(self, repository: str, digest: str) -> bytes:
        """Return a blob, its digest checked. Raise ``NotFoundInRegistry`` on 404."""
        response = self._connection.send("GET", self._path(repository, digest))
        self._connection.require_found(response, self._name(repository, digest))
        content: bytes = response.content
        require_same(digest_of(content), digest, self._name(repository))
        return content

    def put(self, repository: str, digest: str, content: bytes | BinaryIO) -> None:
        """Upload in one piece, so that nothing is visible before it is whole.

        Distribution specification 1.1, "POST then PUT".
        """
        try:
            self._finish(repository, self._begin(repository)[0], digest, content)
        except UnreachableError:
            raise
        except RegistryError:
            # It may have arrived twice, and the second time the upload had ended already.
            if not self.has(repository, digest):
                raise

    def put_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob unless it is there, and return its digest."""
        with path.open("rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            if not self.has(repository, digest):
                for attempt in range(1, _ATTEMPTS + 1):
                    file.seek(0)
                    try:
                        self.put(repository, digest, file)
                        break
                    except RegistryError:
                        if attempt == _ATTEMPTS:
                            raise
        return digest

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Ask the registry to take a blob over from another of its repositories.

        :returns: whether it did; it need not, and says so by beginning an upload.
        """
        query = urlencode({"mount": digest, "from": source})
        url = f"{self._connection.path(repository, 'blobs', 'uploads/')}?{query}"
        response = self._connection.send("POST", url)
        self._connection.require(response, 201, 202)
        if response.status_code == 202:  # noqa: PLR2004 - HTTP's own number
            location = response.headers.get("Location") or ""
            self._cancel(self._connection.location(response.request.url, location))
            return False
        said = response.headers.get("Docker-Content-Digest") or digest
        require_same(said, digest, self._name(repository))
        return True

    # Reading

    def stream(self, repository: str, digest: str) -> Generator[bytes, None, None]:
        """Yield a blob in pieces; go on where an interrupted answer ended.

        :raises NotFoundInRegistry: it is not there.
        :raises RegistryError: it can't be read to its end; or, then only, that its digest is
            another. What was yielded must not be used before the last piece is out.
        """
        seen = hashlib.sha256()
        offset, fruitless = 0, 0
        while True:
            before = offset
            try:
                for piece in self._read_from(repository, digest, offset):
                    seen.update(piece)
                    offset += len(piece)
                    yield piece
                break
            except UnreachableError:
                fruitless = 1 if offset > before else fruitless + 1
                if fruitless == _READ_ATTEMPTS:
                    raise
                self._sleep(_FIRST_WAIT * 2 ** (fruitless - 1))
        require_same(f"sha256:{seen.hexdigest()}", digest, self._name(repository))

    def _read_from(self, repository: str, digest: str, offset: int) -> Generator[bytes, None, None]:
        """Yield what follows the first bytes; skip them where the registry sends all again."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self._connection.stream(self._path(repository, digest), headers)
        try:
            if response.status_code not in {200, 206}:
                response.read()
            if offset and response.status_code == 416:  # noqa: PLR2004 - there is nothing more
                return
            self._connection.require_found(response, self._name(repository, digest), 200, 206)
            skip, left = _place_of(response, offset, self._name(repository, digest))
            for piece in response.iter_raw():
                left -= len(piece)
                yield from filter(None, (piece[skip:],))
                skip = max(skip - len(piece), 0)
            if left > 0 and "Content-Length" in response.headers:
                raise UnreachableError(f"{self._connection.host} ended {digest} early.")
        except TransportError as error:
            raise self._connection.broken(error) from None
        finally:
            response.close()

    # Writing

    def write(
        self,
        repository: str,
        digest: str,
        size: int,
        pieces: Callable[[], Generator[bytes, None, None]],
    ) -> None:
        """Store a blob from its pieces, in bounded memory.

        A small one is sent whole. A larger one goes in chunks: after an interruption the registry
        is asked how much it has, and where that is of no use the upload begins anew.

        :param pieces: begins to read the blob from its start; may be called again.
        """
        if size <= CHUNK:
            with contextlib.closing(pieces()) as found:
                content = b"".join(found)
            self._write_whole(repository, digest, content)
            return
        for attempt in range(1, _ATTEMPTS + 1):
            upload = _Upload(self._connection, *self._begin(repository))
            try:
                with contextlib.closing(pieces()) as found:
                    upload.send_all(found)
                self._finish(repository, upload.location, digest, None)
            except BaseException as error:
                self._cancel(upload.location)
                lost = isinstance(error, _OutOfStepError | UnreachableError)
                if not lost or attempt == _ATTEMPTS:
                    raise
                self._sleep(_FIRST_WAIT * 2 ** (attempt - 1))
                if self.has(repository, digest):  # it had ended: only the answer was lost
                    return
            else:
                return

    def _write_whole(self, repository: str, digest: str, content: bytes) -> None:
        require_same(digest_of(content), digest, self._name(repository))
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.put(repository, digest, content)
            except UnreachableError:
                if attempt == _ATTEMPTS:
                    raise
                self._sleep(_FIRST_WAIT * 2 ** (attempt - 1))
            else:
                return

    def _begin(self, repository: str) -> tuple[str, int]:
        """Begin an upload; return where to send it and the least that a chunk must hold."""
        begun = self._connection.send(
            "POST", self._connection.path(repository, "blobs", "uploads/")
        )
        self._connection.require(begun, 202)
        location = begun.headers.get("Location") or ""
        where = self._connection.location(begun.request.url, location)
        return where, _number(begun.headers.get("OCI-Chunk-Min-Length"))

    def _finish(
        self, repository: str, location: str, digest: str, content: bytes | BinaryIO | None
    ) -> None:
        separator = "&" if urlsplit(location).query else "?"
        url = f"{location}{separator}{urlencode({'digest': digest})}"
        # An upload that may have ended is not ended twice: the caller looks, or begins anew.
        done = self._connection.send(
            "PUT", url, content=b"" if content is None else content, once=content is None
        )
        self._connection.require(done, 201)
        said = done.headers.get("Docker-Content-Digest") or digest
        require_same(said, digest, self._name(repository))

    def _cancel(self, location: str) -> None:
        """Give an upload up; a registry that can't be told forgets it by itself."""
        with contextlib.suppress(RegistryError):
            self._connection.send("DELETE", location, once=True)

    def _path(self, repository: str, digest: str) -> str:
        """Return the address of a blob. Whoever may push chooses what manifests name."""
        if not is_digest(digest):
            raise RegistryError(f"{digest[:100]!r}, which {repository} names, is not a digest.")
        return self._connection.path(repository, "blobs", digest)

    def _name(self, repository: str, digest: str = "") -> str:
        return f"{self._connection.host}/{repository}" + (f"@{digest}" if digest else "")


class _Upload:
    """One upload session: chunks in order, each sent again from where the registry stands."""

    def __init__(self, connection: Connection, location: str, least: int) -> None:
        self.location = location
        self._connection = connection
        self._chunk = max(CHUNK, least)
        self._sent = 0

    def send_all(self, pieces: Iterable[bytes]) -> None:
        """Send everything; at most one chunk and one piece are held in memory."""
        held = bytearray()
        for piece in pieces:
            held += piece
            while len(held) >= self._chunk:
                self._send(bytes(held[: self._chunk]))
                del held[: self._chunk]
        if held:
            self._send(bytes(held))

    def _send(self, chunk: bytes) -> None:
        start, end = self._sent, self._sent + len(chunk)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._send_once(chunk[self._sent - start :], end)
            except UnreachableError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                if self._sent == end:
                    return
            self._ask(start, end)
            if self._sent == end:
                return
        raise _OutOfStepError(f"{self._connection.host} takes no more of an upload.")

    def _send_once(self, chunk: bytes, end: int) -> None:
        headers = {"Content-Range": f"{self._sent}-{end - 1}"}
        response = self._connection.send(
            "PATCH", self.location, headers=headers, content=chunk, once=True
        )
        if response.status_code in {202, 204}:
            self._move(response)
            self._sent = end
        elif response.status_code not in {404, 408, 416} and not _is_transient(response):
            raise self._connection.refusal(response)

    def _ask(self, start: int, end: int) -> None:
        """Ask how much the registry has. "Resuming" needs what the answer's Range says."""
        response = self._connection.send("GET", self.location)
        found = _RANGE.fullmatch(response.headers.get("Range") or "")
        has = int(found.group(1)) + 1 if found else 0
        if response.status_code != 204 or not start <= has <= end:  # noqa: PLR2004 - HTTP's own
            raise _OutOfStepError(f"{self._connection.host} has lost a part of an upload.")
        self._move(response)
        self._sent = has

    def _move(self, response: Response) -> None:
        location = response.headers.get("Location") or ""
        if location:
            self.location = self._connection.location(self.location, location)


def _place_of(response: Response, offset: int, name: str) -> tuple[int, int]:
    """Return how many bytes of an answer to skip, and how many it promises."""
    length = _number(response.headers.get("Content-Length"))
    if response.status_code == 200:  # noqa: PLR2004 - the range was ignored
        return offset, length
    start = _CONTENT_RANGE.match(response.headers.get("Content-Range") or "")
    if not start or int(start.group(1)) != offset:
        raise RegistryError(f"{name} was sent from another place than was asked for.")
    return 0, length


def _number(told: str | None) -> int:
    """Read a header that tells bytes; 0 where it tells nothing that could be."""
    return int(told) if told and re.fullmatch(r"\d{1,18}", told) else 0


def _is_transient(response: Response) -> bool:
    return bool(response.status_code >= 500 or response.status_code == 429)  # noqa: PLR2004 - HTTP
