"""A second real registry, and a server in front of it that is as difficult as registries can be."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import secrets
import socket
import subprocess
import time
import warnings
from dataclasses import dataclass

import pytest

from aksci.oci.artifact import canonical_json
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.registry_server import serve
from aksci.testing.reporter import RecordingReporter

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


@pytest.fixture
def difficult():
    """Serve registries that take no shortcuts, and are as difficult as a test says."""
    with contextlib.ExitStack() as servers:

        def make(**rules):
            registry = MemoryRegistry(mounts=False, complete=True)
            return servers.enter_context(serve(registry, absolute=True, **rules))

        yield make


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


@pytest.fixture
def notes():
    return RecordingReporter()


@pytest.fixture(autouse=True)
def _broken_connections_end_here():
    """Collect what a test has left of connections that it broke on purpose, before the next one.

    Otherwise their sockets are found unclosed during some later test, which is then blamed.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
