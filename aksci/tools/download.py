"""Fetch a file over HTTPS, resumed where the server can, and verified by its SHA-256."""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from aksci.core.concurrency import backoff, retry
from aksci.core.errors import DiskFullError, DownloadError
from aksci.core.http import LOOPBACK, opener_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["disk_full", "download"]

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without a byte
_ATTEMPTS = 3
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class _Received(Protocol):
    def __call__(self, done: int, total: int | None) -> None: ...


def download(
    url: str,
    sha256: str,
    part: Path,
    *,
    variables: Mapping[str, str],
    received: _Received,
    pause: float = 1.0,
) -> None:
    """Make ``part`` hold exactly the file with this checksum.

    A ``part`` that a killed run left is continued (RFC 9110, section 14). A connection that breaks
    is taken up again, ``_ATTEMPTS`` times in all; what has arrived then stays for the next run. A
    wrong file is removed.

    :param variables: name the proxy and the certificates to trust (``aksci.core.http``).
    :param pause: seconds before the second attempt.
    :raises DownloadError: the server refused, broke off, or sent another file than the pinned one.
    :raises DiskFullError: no space is left.
    """
    _require_safe(url)
    opener = opener_for(url, variables)

    def fetch() -> None:
        with disk_full(part):
            _fetch(opener, url, part, received)

    try:
        retry(fetch, again=_may_pass, waits=backoff(pause, attempts=_ATTEMPTS))
    except DiskFullError:
        # What arrived takes up the space that is missing.
        part.unlink(missing_ok=True)
        raise
    except urllib.error.HTTPError as error:
        raise _refused(url, error) from None
    except (OSError, http.client.HTTPException) as error:
        raise _broken(url, error, part) from None
    _verify(url, sha256, part)


@contextmanager
def disk_full(place: Path) -> Iterator[None]:
    """Turn "no space left" into an error that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFullError(
            f"No space is left to write {place}.",
            hint=f"df -h {place.parent} shows the file system; free some space and run again",
        ) from None


def _fetch(
    opener: urllib.request.OpenerDirector, url: str, part: Path, received: _Received
) -> None:
    have = part.stat().st_size if part.exists() else 0
    # identity: the checksum and the ranges are of the file, not of a compressed form of it.
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})  # noqa: S310 - see _require_safe
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # it is as long as the file, or longer: start again, the checksum decides
        return _fetch(opener, url, part, received)
    with response:
        start, total = _extent(response, have)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = start
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                received(done, total)
            # An older, longer part would leave its end behind the new file's.
            file.truncate()
    # urllib does not tell a connection that broke from one that ended.
    if total is not None and done < total:
        raise http.client.HTTPException(f"it broke off after {done} of {total} bytes")
    return None


def _may_pass(error: Exception) -> bool:
    # Asked first: it is an OSError, too.
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500  # noqa: PLR2004 - 5xx may pass, 4xx does not
    return isinstance(error, OSError | http.client.HTTPException)


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where the body that follows begins, and how long the whole file is."""
    if response.status == http.client.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        # Another range, appended, would only be found by the checksum, after the whole download.
        if not match or int(match[1]) != have:
            raise http.client.HTTPException("it answered with another range than it was asked for")
        return have, int(match[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def _verify(url: str, sha256: str, part: Path) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    # It must go: the next run would continue it, and never get the right one.
    if found != sha256:
        part.unlink()
        raise DownloadError(
            f"{url} is not the file that is pinned: its SHA-256 is {found}, and {sha256} is "
            "expected. It was removed.",
            hint="don't use that file; if its publisher really replaced it, correct "
            "aksci/tools/pins.toml",
        )


def _require_safe(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise DownloadError(f"{url} is not fetched: only https is, or http from this machine itself.")


def _refused(url: str, error: urllib.error.HTTPError) -> DownloadError:
    return DownloadError(
        f"{url} could not be fetched: the server answered {error.code} {error.reason}.",
        hint="check the address in aksci/tools/pins.toml, or put the tool on PATH",
    )


def _broken(url: str, error: Exception, part: Path) -> DownloadError:
    reason = getattr(error, "reason", None) or error
    kept = f" {part.stat().st_size} bytes are kept." if part.exists() else ""
    return DownloadError(
        f"{url} could not be fetched in {_ATTEMPTS} attempts: {reason}.{kept}",
        hint="check the network (HTTPS_PROXY, if you need one) and run again: it goes on where it "
        "stopped",
    )
