"""What a registry answers to each request: the distribution specification 1.1, and a test's word.

``/v2/_catalog`` and tokens are as the distribution project has them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from aksci.oci.references import digest_of, is_repository
from aksci.testing.memory_registry import MemoryRegistry, NotTakenError, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

__all__ = ["Answer", "ReceivedRequest", "RegistryServer"]

Answer = tuple[int, "Mapping[str, str]", "bytes | Iterable[bytes]"]
"""Status, headers and body. Status 0 hangs up; a negative one is silence of so many seconds.

A body in pieces is written as it is, under headers that tell its length or that it is chunked.
"""

_INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(.+)/(manifests|blobs/uploads|blobs|tags|referrers)/([^/]*)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)")
_READS = frozenset({"GET", "HEAD"})
_NOTHING: Answer = (404, {}, b"404 page not found\n")


class ReceivedRequest(NamedTuple):
    """One request."""

    line: str
    """Such as ``GET /v2/shop/web/tags/list?n=1000``."""
    headers: dict[str, str]
    body: bytes


@dataclass(kw_only=True, eq=False)
class RegistryServer:
    """A running server. What a test changes here counts from the next request on."""

    registry: MemoryRegistry
    host: str = ""
    """``127.0.0.1:port``."""
    login: tuple[str, str] | None = None
    """User and password that are asked for; everyone is let in without it."""
    bearer: bool = False
    """Whether a login is exchanged for a token at ``/token``, else it is sent each time."""
    page_size: int = 1000
    """The most entries that one page of tags, repositories or referrers has."""

    answers: dict[str, list[Answer | None]] = field(default_factory=dict)
    """Request line -> what to answer instead, in turn; the last is repeated. None: as it is."""
    extra: list[str] = field(default_factory=list)
    """Names that the list of repositories has besides."""
    busy: bool = False
    """Whether each request is refused by 429 when it is sent for the first time."""
    ranges: bool = True
    """Whether a part of a blob may be asked for."""
    absolute: bool = False
    """Whether the Location of an upload names this host, too."""
    damage: bool = False
    """Whether a byte of each blob is changed when it is read."""
    break_reads: int = 0
    """How many answers with a blob end half way."""
    break_chunks: int = 0
    """How many chunks of an upload are taken and not answered."""
    lose_uploads: int = 0
    """How many uploads are forgotten after their first chunk."""
    keep_alive: int = 10**9
    """Requests after which a connection is closed without a word."""

    asked: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    most: int = 0
    """The most requests that were under way at the same time."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _under_way: int = 0
    _tokens: set[str] = field(default_factory=set)
    _uploads: dict[str, bytearray] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the requests so far, as ``GET /v2/…``."""
        return [one.line for one in self.asked]

    def counts(self) -> Counter[str]:
        """Return how often each kind of thing was asked for: ``GET manifests``."""
        return Counter(
            f"{method} {match[2] if (match := _PATH.fullmatch(urlsplit(target).path)) else target}"
            for method, _, target in (line.partition(" ") for line in self.lines())
        )

    # One request

    def answer(self, asked: ReceivedRequest) -> Answer:
        """Answer as a test has told, or else as the registry is."""
        if self.registry.delay:
            time.sleep(self.registry.delay)
        with self.lock:
            scripted = self.answers.get(asked.line)
            # Under the lock: two threads must not be given the same turn.
            told = scripted and (scripted.pop(0) if len(scripted) > 1 else scripted[0])
        if told:
            return told
        target = urlsplit(asked.line.partition(" ")[2])
        return self._refuse(asked) or self._route(asked, unquote(target.path), _query(target.query))

    @contextlib.contextmanager
    def under_way(self, asked: ReceivedRequest) -> Generator[None, None, None]:
        """Note a request while it is being answered."""
        with self.lock:
            self.asked.append(asked)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            yield
        finally:
            with self.lock:
                self._under_way -= 1

    def take(self, name: str) -> bool:
        """Use up one of a count of faults."""
        with self.lock:
            left: int = getattr(self, name)
            setattr(self, name, max(left - 1, 0))
            return left > 0

    def _refuse(self, asked: ReceivedRequest) -> Answer | None:
        """Refuse who is too quick, and who is nobody."""
        # ``asked`` has this one already.
        if self.busy and sum(one.line == asked.line for one in self.asked) == 1:
            return _error(429, "TOOMANYREQUESTS", "not yet", {"Retry-After": "1"})
        given = asked.headers.get("Authorization", "")
        if not self.login or asked.line.startswith("GET /token?"):
            return None
        if given[7:] in self._tokens if self.bearer else given == self._basic:
            return None
        challenge = 'Basic realm="registry"'
        if self.bearer:
            challenge = f'Bearer realm="http://{self.host}/token",service="{self.host}"'
            match = _PATH.match(asked.line.partition(" ")[2])
            challenge += f',scope="repository:{match[1]}:pull,push"' if match else ""
        return _error(401, "UNAUTHORIZED", "log in", {"WWW-Authenticate": challenge})

    @property
    def _basic(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.login or ()).encode()).decode()

    def _route(self, asked: ReceivedRequest, path: str, query: dict[str, str]) -> Answer:
        method = asked.line.partition(" ")[0]
        match = _PATH.fullmatch(path)
        if match is None:
            return self._about_all(asked, path, query)
        repository, kind, reference = match.groups()
        if not is_repository(repository):
            return _error(400, "NAME_INVALID", repository)
        ways: dict[str, Callable[[], Answer]] = {
            "manifests": lambda: self._manifest(method, repository, reference, asked),
            "blobs": lambda: self._blob(method, repository, reference, asked),
            "blobs/uploads": lambda: self._upload(method, repository, reference, asked, query),
            "tags": lambda: self._tags(path, repository, query),
            "referrers": lambda: self._referrers(path, repository, reference, query),
        }
        try:
            return ways[kind]()
        except NotTakenError as error:
            return _error(error.status, error.code, error.message)

    def _about_all(self, asked: ReceivedRequest, path: str, query: dict[str, str]) -> Answer:
        if path == "/v2/":
            return _json({})
        if path == "/v2/_catalog":
            names = sorted({*self.registry.store.repositories(), *self.extra})
            return self._page(path, query, "repositories", names, {})
        if path == "/token" and self.login:
            return self._token(asked)
        return _NOTHING

    def _token(self, asked: ReceivedRequest) -> Answer:
        if asked.headers.get("Authorization") != self._basic:
            return _error(401, "UNAUTHORIZED", "wrong user or password")
        token = secrets.token_hex(8)
        self._tokens.add(token)
        return _json({"token": token, "expires_in": 300})

    # Manifests

    def _manifest(
        self, method: str, repository: str, reference: str, asked: ReceivedRequest
    ) -> Answer:
        store = self.registry.store
        if method == "PUT":
            return self._put_manifest(repository, reference, asked)
        found = store.manifest(repository, reference)
        if found is None:
            raise NotTakenError(404, "MANIFEST_UNKNOWN", reference)
        if method == "DELETE":
            store.delete(repository, reference)
            return 202, {}, b""
        _require_method(method, _READS)
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        return 200, headers, found.content

    def _put_manifest(self, repository: str, reference: str, asked: ReceivedRequest) -> Answer:
        media_type = asked.headers.get("Content-Type", "")
        # Tags have no colon.
        if ":" in reference and digest_of(asked.body) != reference:
            raise NotTakenError(400, "DIGEST_INVALID", reference)
        tag = None if ":" in reference else reference
        store = self.registry.store
        digest = store.put_manifest(repository, asked.body, media_type, tag=tag).digest
        headers = {
            "Docker-Content-Digest": digest,
            "Location": f"/v2/{repository}/manifests/{digest}",
        }
        subject = subject_of(json.loads(asked.body))
        # Distribution specification 1.1, "Pushing Manifests with Subject": by this a client knows
        # that it need not write the fallback tag.
        if subject and self.registry.referrers_api:
            headers["OCI-Subject"] = subject
        return 201, headers, b""

    # Lists

    def _tags(self, path: str, repository: str, query: dict[str, str]) -> Answer:
        store = self.registry.store
        with store.lock:
            known = repository in store.repositories()
            tags = sorted(store.tags[repository])
        if not known:
            raise NotTakenError(404, "NAME_UNKNOWN", repository)
        return self._page(path, query, "tags", tags, {"name": repository})

    def _referrers(self, path: str, repository: str, digest: str, query: dict[str, str]) -> Answer:
        if not self.registry.referrers_api:
            return _NOTHING
        kind = query.get("artifactType")
        entries = [
            one
            for one in self.registry.store.referrers(repository, digest)
            if kind in {None, one.get("artifactType")}
        ]
        start = int(query.get("from", "0"))
        page = entries[start : start + self.page_size]
        headers = {"Content-Type": _INDEX}
        if kind:
            # Without it, a client has to filter by itself.
            headers["OCI-Filters-Applied"] = "artifactType"
        if start + self.page_size < len(entries):
            following = urlencode({**query, "from": start + self.page_size})
            headers["Link"] = f'<{path}?{following}>; rel="next"'
        return _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": page}, headers)

    def _page(
        self,
        path: str,
        query: dict[str, str],
        key: str,
        names: list[str],
        more: dict[str, str],
    ) -> Answer:
        """Return one page of names. Distribution specification 1.1, "Listing Tags"."""
        # By name, not by number: what is pushed between two pages shifts nothing.
        left = [name for name in names if name > query.get("last", "")]
        size = min(int(query.get("n") or self.page_size), self.page_size)
        page, headers = left[:size], {}
        if len(left) > size > 0:
            following = urlencode({"n": size, "last": page[-1]})
            headers["Link"] = f'<{path}?{following}>; rel="next"'
        return _json({**more, key: page}, headers)

    # Blobs

    def _blob(self, method: str, repository: str, digest: str, asked: ReceivedRequest) -> Answer:
        content = self.registry.store.blobs[repository].get(digest)
        if content is None:
            raise NotTakenError(404, "BLOB_UNKNOWN", digest)
        if method == "DELETE":
            self.registry.store.delete(repository, digest)
            return 202, {}, b""
        _require_method(method, _READS)
        if self.damage and method == "GET":
            content = bytes([content[0] ^ 1]) + content[1:]
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        part = _RANGE.fullmatch(asked.headers.get("Range", "")) if self.ranges else None
        if part is None:
            return 200, headers, content
        start, end = int(part[1]), int(part[2] or len(content) - 1)
        # RFC 9110, 15.5.17.
        if start >= len(content):
            return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
        piece = content[start : end + 1]
        where = f"bytes {start}-{start + len(piece) - 1}/{len(content)}"
        return 206, {**headers, "Content-Range": where}, piece

    def _upload(
        self,
        method: str,
        repository: str,
        session: str,
        asked: ReceivedRequest,
        query: dict[str, str],
    ) -> Answer:
        """Take one step of an upload. Distribution specification 1.1, "Pushing blobs"."""
        if method == "POST" and not session:
            return self._begin(repository, asked, query)
        if session not in self._uploads:
            raise NotTakenError(404, "BLOB_UPLOAD_UNKNOWN", session)
        held = self._uploads[session]
        if method == "DELETE":
            del self._uploads[session]
            return 204, {}, b""
        if method == "GET":
            return 204, self._place(repository, session), b""
        if method == "PATCH":
            return self._add(repository, session, asked)
        _require_method(method, frozenset({"PUT"}))
        self._require_place(held, asked)
        answer = self._keep(repository, bytes(held) + asked.body, query.get("digest", ""))
        del self._uploads[session]
        return answer

    def _begin(self, repository: str, asked: ReceivedRequest, query: dict[str, str]) -> Answer:
        mount, source = query.get("mount", ""), query.get("from", "")
        content = self.registry.store.blobs[source].get(mount) if source else None
        # A registry may refuse to mount, and begin an upload instead (202).
        if content is not None and self.registry.mounts:
            return self._keep(repository, content, mount)
        if "digest" in query:
            return self._keep(repository, asked.body, query["digest"])
        session = secrets.token_hex(8)
        self._uploads[session] = bytearray()
        return 202, self._place(repository, session), b""

    def _add(self, repository: str, session: str, asked: ReceivedRequest) -> Answer:
        held = self._uploads[session]
        if held and self.take("lose_uploads"):
            del self._uploads[session]
            raise NotTakenError(404, "BLOB_UPLOAD_UNKNOWN", session)
        self._require_place(held, asked)
        held += asked.body
        if self.take("break_chunks"):
            return 0, {}, b""
        return 202, self._place(repository, session), b""

    def _require_place(self, held: bytearray, asked: ReceivedRequest) -> None:
        """Refuse a chunk that does not go on where the last one ended."""
        told = _CONTENT_RANGE.fullmatch(asked.headers.get("Content-Range", ""))
        if told and int(told[1]) != len(held):
            raise NotTakenError(416, "BLOB_UPLOAD_INVALID", f"{len(held)} bytes are here")

    def _place(self, repository: str, session: str) -> dict[str, str]:
        size = len(self._uploads[session])
        here = f"http://{self.host}" if self.absolute else ""
        return {
            "Location": f"{here}/v2/{repository}/blobs/uploads/{session}?state={session[:4]}",
            "Range": f"0-{max(size - 1, 0)}",
            "Docker-Upload-UUID": session,
        }

    def _keep(self, repository: str, content: bytes, digest: str) -> Answer:
        if digest_of(content) != digest:
            raise NotTakenError(400, "DIGEST_INVALID", digest)
        self.registry.store.blobs[repository][digest] = content
        where = f"/v2/{repository}/blobs/{digest}"
        return 201, {"Docker-Content-Digest": digest, "Location": where}, b""


def _require_method(method: str, allowed: frozenset[str]) -> None:
    if method not in allowed:
        raise NotTakenError(405, "UNSUPPORTED", method)


def _query(text: str) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(text).items()}


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    told = {"Content-Type": "application/json", **(headers or {})}
    return 200, told, json.dumps(document).encode()


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an error body. Distribution specification 1.1, "Error Codes"."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json", **(headers or {})}, body
