"""A small registry on loopback that keeps what it is sent, and counts what it is asked."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.lineage_cache import LineageCache
from aksci.images.lineage import Lineage, write_lineage
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
PATH = re.compile(
    r"/v2/([a-z0-9][a-z0-9._/-]*?)/(manifests|blobs|referrers|tags|blobs/uploads)/([^/]*)"
)


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Shelf:
    """What it has, and how it answers."""

    host: str = ""
    manifests: dict = field(default_factory=dict)
    """``(repository, digest)`` -> (media type, content)."""
    tags: dict = field(default_factory=dict)
    """``(repository, tag)`` -> digest."""
    blobs: dict = field(default_factory=dict)
    extra: list = field(default_factory=list)
    """Names that its list of repositories has besides."""
    answers: dict = field(default_factory=dict)
    """``"GET /v2/…"`` -> status to answer with instead."""
    gone: set = field(default_factory=set)
    """Lines that are answered with 404, though lists have the thing."""
    asked: list = field(default_factory=list)
    slow: float = 0.0
    most: int = 0
    """The most requests that were under way at the same time."""

    def counts(self):
        """How often each kind of thing was read."""
        return Counter(PATH.sub(r"\2", line.partition(" ")[2]) for line in self.asked)

    def repositories(self):
        return sorted({repository for repository, _ in self.tags} | set(self.extra))

    def answer(self, method, target, body):
        path = unquote(urlsplit(target).path)
        if method in {"GET", "HEAD"}:
            return self.read(f"{method} {target}", path)
        match = PATH.fullmatch(path)
        if method == "POST":
            return 202, {"Location": f"/v2/{match[1]}/blobs/uploads/1"}, b""
        digest = digest_of(body)
        if match[2] == "manifests":
            kind = json.loads(body).get("mediaType", MANIFEST)
            self.manifests[match[1], digest] = (kind, body)
            if ":" not in match[3]:
                self.tags[match[1], match[3]] = digest
        else:
            assert parse_qs(urlsplit(target).query)["digest"] == [digest]
            self.blobs[digest] = body
        return 201, {"Docker-Content-Digest": digest}, b""

    def read(self, line, path):
        if line in self.answers:
            return self.answers[line], {}, b""
        if path == "/v2/":
            return 200, {}, b"{}"
        if path == "/v2/_catalog":
            return 200, {}, json.dumps({"repositories": self.repositories()}).encode()
        match = PATH.fullmatch(path)
        assert match, f"no registry answers {line}"
        found = None
        if line not in self.gone:
            found = getattr(self, f"read_{match[2]}")(match[1], match[3])
        return found or (404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    def read_manifests(self, repository, reference):
        digest = self.tags.get((repository, reference), reference)
        if (repository, digest) in self.manifests:
            kind, content = self.manifests[repository, digest]
            return 200, {"Content-Type": kind, "Docker-Content-Digest": digest}, content
        return None

    def read_blobs(self, _repository, digest):
        return (200, {}, self.blobs[digest]) if digest in self.blobs else None

    def read_tags(self, repository, _):
        found = [tag for name, tag in self.tags if name == repository]
        return (200, {}, json.dumps({"tags": found}).encode()) if found else None

    def read_referrers(self, repository, digest):
        found = []
        for (name, own), (kind, content) in self.manifests.items():
            document = json.loads(content)
            if name == repository and isinstance(document, dict):
                subject = document.get("subject") or {}
                if subject.get("digest") == digest:
                    one = {"mediaType": kind, "digest": own, "size": len(content)}
                    more = {key: document.get(key) for key in ("artifactType", "annotations")}
                    found.append({**one, **more})
        return 200, {}, json.dumps({"schemaVersion": 2, "manifests": found}).encode()


@pytest.fixture
def shelf():
    kept = Shelf()
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # one packet an answer: two would wait for each other

        def respond(self):
            nonlocal under_way
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                under_way += 1
                kept.most = max(kept.most, under_way)
                kept.asked.append(f"{self.command} {self.path}")
            time.sleep(kept.slow)
            with lock:
                status, headers, content = kept.answer(self.command, self.path, body)
                under_way -= 1
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = respond  # noqa: N815 - http.server's names

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    httpd = Server(("127.0.0.1", 0), Handler)
    kept.host = f"127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield kept
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def registry(shelf):
    client = RegistryClient(shelf.host, plain_http=True, sleep=lambda _: None)
    yield client
    client.close()


@pytest.fixture
def world(shelf, registry, tmp_path):
    """A registry of several projects; ``find`` looks for dependents as the project ``shop``."""

    def put(name, document, kind=MANIFEST):
        repository, _, tag = name.partition(":")
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
        digest = registry.put_manifest(repository, content, kind, tag=tag or None)
        return ImageRef(shelf.host, repository, digest)

    def image(name, salt="", annotations=None, parents=None, edges=None, **lineage):
        """Store an image; with ``parents``, its lineage, too."""
        config = {"mediaType": CONFIG, "digest": digest_of(salt.encode()), "size": 2}
        ref = put(name, {"config": config, "layers": [], "annotations": annotations or {}})
        if parents is not None:
            record(ref, parents, edges, **lineage)
        return ref

    def record(ref, parents, edges=None, now=NOW, **more):
        known = edges or {name: {"type": "runtime"} for name in parents}
        lineage = Lineage(
            image="x", key_schema=1, input_key="k", source={}, parents=parents, revision="",
            edges=known, **more,
        )  # fmt: skip
        write_lineage(registry, ref, lineage, provenance=None, now=now)

    def find(moved, own=("shop/web",), most=200_000):
        cache = LineageCache(tmp_path / "cache")
        return find_dependents(registry, moved=moved, own=own, cache=cache, most=most)

    return SimpleNamespace(
        put=put, image=image, record=record, find=find, cache=tmp_path / "cache", host=shelf.host
    )
