"""A second real registry, and a server in front of it that is as difficult as registries can be."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import http.client
import json
import secrets
import socket
import subprocess
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from aksci.oci.artifact import canonical_json
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="session")
def start_registry(toolbox, tmp_path_factory):
    """Start the distribution project's registry on a port and in a folder of its own."""
    binary = toolbox.ensure("registry")
    running = []

    def start():
        folder = tmp_path_factory.mktemp("registry")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = folder / "config.json"
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "validation": {"manifests": {"urls": {"allow": ["^https://layers.example/"]}}},
            "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True, "secret": "test"},
        }
        config.write_text(json.dumps(settings))
        with (folder / "log").open("wb") as log:
            argv = [binary, "serve", config]
            running.append(subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder))
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"127.0.0.1:{port}"
            time.sleep(0.05)
        pytest.fail((folder / "log").read_text())

    yield start
    for process in running:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def other_host(start_registry):
    return start_registry()


@pytest.fixture
def connect():
    """Make clients that don't wait long between attempts; all are closed at the end."""
    clients = []

    def make(host, **options):
        client = RegistryClient(
            host, plain_http=True, sleep=lambda wait: time.sleep(min(wait, 0.05)), **options
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def source(platform, connect):
    return connect(platform.registry)


@pytest.fixture
def target(other_host, connect):
    return connect(other_host)


@pytest.fixture
def repository():
    return f"test/{secrets.token_hex(4)}"


@dataclass
class Difficult:
    """What a server does to those who ask it; ``asked`` counts by method and kind of thing."""

    host: str = ""
    login: str = ""
    """``user:password`` that it asks for."""
    busy: bool = False
    """Whether each request is refused by 429 when it is sent for the first time."""
    break_reads: int = 0
    """How many answers with a blob end half way."""
    break_chunks: int = 0
    """How many chunks are taken and not answered."""
    lose_uploads: int = 0
    """How many uploads are forgotten after their first chunk."""
    ranges: bool = True
    mounts: bool = False
    damage: bool = False
    """Whether it changes a byte of each blob that is read."""
    asked: Counter = field(default_factory=Counter)
    lines: list = field(default_factory=list)
    referrers: dict = field(default_factory=dict)
    refused: set = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name):
        """Use up one of a count."""
        with self.lock:
            left = getattr(self, name)
            setattr(self, name, max(left - 1, 0))
            return left > 0


class Handler(BaseHTTPRequestHandler):
    """Passes on to a real registry; adds the referrers API, and trouble."""

    protocol_version = "HTTP/1.1"

    def do(self):
        path = urlsplit(self.path).path
        kinds = ("manifests", "uploads", "blobs", "referrers", "tags")
        kind = next((each for each in kinds if f"/{each}/" in path), "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rules = self.server.rules
        with rules.lock:
            rules.asked[f"{self.command} {kind}"] += 1
            rules.lines.append(f"{self.command} {self.path}")
        if not self.refuse(rules):
            if kind == "referrers":
                self.list_referrers(rules, path)
            else:
                self.pass_on(rules, kind, body)

    def refuse(self, rules):
        """Refuse whoever has not logged in, who is too quick, or whose upload is forgotten."""
        later = self.command == "PATCH" and not self.headers["Content-Range"].startswith("0-")
        if rules.login and self.headers.get("Authorization") != rules.expected:
            self.reply(401, {"WWW-Authenticate": 'Basic realm="test"'})
        elif rules.busy and self.is_busy(rules):
            self.reply(429, {"Retry-After": "1"})
        elif later and rules.take("lose_uploads"):
            self.forward(b"", method="DELETE")
            self.reply(404, {})
        else:
            return False
        return True

    def list_referrers(self, rules, path):
        found = rules.referrers.get(path.rpartition("/")[2], [])
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
        self.reply(200, {"Content-Type": INDEX}, json.dumps(index).encode())

    def pass_on(self, rules, kind, body):
        status, headers, content = self.forward(body)
        if kind == "manifests" and self.command == "PUT" and status == 201:
            headers |= self.remember(rules, body)
        if self.command == "PATCH" and rules.take("break_chunks"):
            self.hang_up()
            return
        blob = kind == "blobs" and self.command == "GET" and status in {200, 206}
        if blob and rules.damage:
            content = bytes([content[0] ^ 1]) + content[1:]
        if blob and len(content) > 1 and rules.take("break_reads"):
            self.reply(status, headers, content[: len(content) // 2], length=len(content))
            self.hang_up()
            return
        self.reply(status, headers, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do  # noqa: N815 - http.server's

    def is_busy(self, rules):
        with rules.lock:
            new = (self.command, self.path) not in rules.refused
            rules.refused.add((self.command, self.path))
            return new

    def forward(self, body, method=None):
        rules = self.server.rules
        path = self.path
        if not rules.mounts and "mount=" in path:
            path = path.partition("?")[0]
        dropped = {"host", "authorization", "connection"} | (set() if rules.ranges else {"range"})
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        if method:
            headers = {"Content-Length": "0"}
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        upstream.request(method or self.command, path, body=body, headers=headers)
        answer = upstream.getresponse()
        content = answer.read()
        found = {
            k: v
            for k, v in answer.getheaders()
            if k.lower() not in {"content-length", "connection", "date"}
        }
        if self.command == "HEAD":
            found["X-Length"] = answer.getheader("Content-Length") or "0"
        upstream.close()
        if found.get("Location", "").startswith("/"):
            found["Location"] = f"http://{rules.host}{found['Location']}"
        return answer.status, found, content

    def remember(self, rules, body):
        manifest = json.loads(body)
        subject = (manifest.get("subject") or {}).get("digest")
        if not subject:
            return {}
        entry = {
            "mediaType": manifest["mediaType"],
            "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"],
            "digest": digest_of(body),
            "size": len(body),
        }
        with rules.lock:
            entries = rules.referrers.setdefault(subject, [])
            if entry not in entries:
                entries.append(entry)
        return {"OCI-Subject": subject}

    def reply(self, status, headers, content=b"", length=None):
        self.send_response(status)
        length = headers.pop("X-Length", None) or (len(content) if length is None else length)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # whoever asked may have been killed
                self.wfile.write(content)

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def difficult(start_registry):
    """Put a difficult server in front of a real registry (of its own unless one is named)."""
    servers = []

    def make(upstream=None, **rules):
        class Server(ThreadingHTTPServer):
            daemon_threads = True

        httpd = Server(("127.0.0.1", 0), Handler)
        httpd.upstream = upstream or start_registry()
        httpd.rules = Difficult(host=f"127.0.0.1:{httpd.server_port}", **rules)
        httpd.rules.expected = "Basic " + base64.b64encode(httpd.rules.login.encode()).decode()
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((httpd, thread))
        return httpd.rules

    yield make
    for httpd, thread in servers:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@dataclass
class Maker:
    """Make images and what refers to them, of random bytes, on some registry."""

    registry: RegistryClient
    repository: str

    def manifest(self, *layers, subject=None, kind=None, config=None, **more):
        """Store an image, or an artifact of some kind."""
        config = config if config is not None else secrets.token_bytes(20)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            **({"artifactType": kind} if kind else {}),
            "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(layer, "application/octet-stream") for layer in layers],
            **({"subject": self.descriptor(subject)} if subject else {}),
            **more,
        }
        content = canonical_json(document)
        digest = self.registry.put_manifest(self.repository, content, MANIFEST)
        if subject:
            from aksci.oci.referrers import record_referrer

            record_referrer(self.registry, self.repository, content)
        return ImageRef(self.registry.host, self.repository, digest)

    def index(self, *refs, **more):
        """Store an index of images."""
        entries = [self.descriptor(ref) for ref in refs]
        for number, entry in enumerate(entries):
            entry["platform"] = {"os": "linux", "architecture": ["amd64", "arm64"][number % 2]}
        content = canonical_json(
            {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **more}
        )
        digest = self.registry.put_manifest(self.repository, content, INDEX)
        return ImageRef(self.registry.host, self.repository, digest)

    def blob(self, content, media_type):
        digest = self.registry.put_blob(self.repository, content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def descriptor(self, ref):
        found = self.registry.manifest(ref.repository, ref.digest)
        return {
            "mediaType": found.media_type,
            "digest": found.digest,
            "size": len(found.content),
        }


@pytest.fixture
def make(source, repository):
    return Maker(registry=source, repository=repository)


@pytest.fixture
def maker():
    return Maker


class Notes:
    """A reporter that remembers."""

    def __init__(self):
        self.lines, self.warnings = [], []

    def line(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture(autouse=True)
def _broken_connections_end_here():
    """Collect what a test has left of connections that it broke on purpose, before the next one.

    Otherwise their sockets are found unclosed during some later test, which is then blamed.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
