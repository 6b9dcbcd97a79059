"""Dockerfiles of text, and images in a registry in memory."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.images.discovery.specs import ImageSpec
from aksci.images.dockerfile.parser import parse_dockerfile
from aksci.images.graph import interpret
from aksci.images.rebase.conditions import check_rebase
from aksci.images.rebase.facts import facts_of
from aksci.oci.references import ImageRef
from aksci.oci.registry import Manifest

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX = f"{OCI}manifest.v1+json", f"{OCI}index.v1+json"
GZIP = f"{OCI}layer.v1.tar+gzip"
BASE = "docker.io/library/base:1"
EPOCH = "1970-01-01T00:00:00Z"


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Memory:
    """A registry in memory. As a real one, it refuses a manifest whose parts it does not have."""

    def __init__(self, host="r:1", *, mounts=True):
        self.host, self.mounts = host, mounts
        self.blobs, self.manifests = {}, {}
        self.asked = []
        self.broken = False

    def _note(self, what, *words):
        self.asked.append((what, *words))
        if self.broken:
            raise RegistryError("503")

    def manifest(self, repository, reference):
        self._note("manifest", repository, reference)
        try:
            media_type, content = self.manifests[repository, reference]
        except KeyError:
            raise NotFoundInRegistry(reference) from None
        return Manifest(media_type=media_type, digest=reference, content=content)

    def put_manifest(self, repository, content, media_type, *, tag=None):
        assert tag is None
        self._note("put manifest", repository)
        document = json.loads(content)
        for one in [*(document.get("layers") or []), *filter(None, [document.get("config")])]:
            assert (repository, one["digest"]) in self.blobs, "an unknown blob"
        for one in document.get("manifests", ()):
            assert (repository, one["digest"]) in self.manifests, "an unknown manifest"
        digest = digest_of(content)
        self.manifests[repository, digest] = (media_type, content)
        return digest

    def blob(self, repository, digest):
        self._note("blob", repository, digest)
        try:
            return self.blobs[repository, digest]
        except KeyError:
            raise NotFoundInRegistry(digest) from None

    def put_blob(self, repository, content):
        self._note("put blob", repository)
        self.blobs[repository, digest_of(content)] = content
        return digest_of(content)

    def has_blob(self, repository, digest):
        self._note("has", repository, digest)
        return (repository, digest) in self.blobs

    def stream_blob(self, repository, digest):
        yield self.blobs[repository, digest]

    def write_blob(self, repository, digest, size, pieces):
        self._note("write", repository, digest)
        content = b"".join(pieces())
        assert (digest_of(content), len(content)) == (digest, size)
        self.blobs[repository, digest] = content

    def mount_blob(self, repository, digest, source_repository):
        self._note("mount", repository, digest)
        if self.mounts is None:
            raise RegistryError("403")
        if self.mounts:
            self.blobs[repository, digest] = self.blobs[source_repository, digest]
        return self.mounts


class World:
    """A registry with two versions of a base and an image; a test changes what it likes."""

    def __init__(self):
        self.registry = self.base_registry = Memory()
        self.settings = {"Env": ["PATH=/bin"], "WorkingDir": "/"}
        self.history = [{"created": EPOCH, "created_by": "COPY base", "comment": "b"}]
        self.dockerfile = "FROM base:1\nCOPY --link app /app/\nENV A=1\n"

    def image(self, repository, layers, config, history, *, registry=None, **more):
        """Store an image of one platform; return its digest. ``more`` changes its documents."""
        registry = registry or self.registry
        family = more.pop("family", OCI)
        packed = [gzip.compress(layer.encode(), mtime=0) for layer in layers]
        document = {
            "architecture": "amd64",
            "config": config,
            "created": EPOCH,
            "history": history,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(one.encode()) for one in layers]},
            **more.pop("top", {}),
        }
        content = more.pop("content", json.dumps(document).encode())
        kinds = {
            OCI: (MANIFEST, f"{OCI}config.v1+json", GZIP),
            DOCKER: (
                f"{DOCKER}distribution.manifest.v2+json",
                f"{DOCKER}container.image.v1+json",
                f"{DOCKER}image.rootfs.diff.tar.gzip",
            ),
        }[family]
        manifest = {
            "schemaVersion": 2,
            "mediaType": kinds[0],
            "config": self.descriptor(registry, repository, content, kinds[1]),
            "layers": [self.descriptor(registry, repository, one, kinds[2]) for one in packed],
            **more.get("manifest", {}),
        }
        return registry.put_manifest(repository, json.dumps(manifest).encode(), kinds[0])

    def descriptor(self, registry, repository, content, media_type):
        digest = registry.put_blob(repository, content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def index(self, repository, entries, *, registry=None, **more):
        """Store an index of platforms -> digests."""
        registry = registry or self.registry
        listed = []
        for platform, digest in entries.items():
            system, machine, *variant = platform.split("/")
            said = {"architecture": machine, "os": system}
            said |= {"variant": variant[0]} if variant else {}
            content = registry.manifests[repository, digest][1]
            listed.append({"mediaType": MANIFEST, "digest": digest, "size": len(content),
                           "platform": said})  # fmt: skip
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed, **more}
        return registry.put_manifest(repository, json.dumps(document).encode(), INDEX)

    def base(self, *layers, **more):
        """Store a base; return its digest. ``more`` is its configuration, or what image takes."""
        settings = {key: more.pop(key) for key in list(more) if key[0].isupper()}
        history = [{**self.history[0], "created_by": f"COPY {layer}"} for layer in layers]
        return self.image(
            "base", layers, {**self.settings, **settings}, more.pop("history", history),
            registry=self.base_registry, **more,
        )  # fmt: skip

    def app(self, *layers, **more):
        """Store what the Dockerfile makes of such a base."""
        settings = {key: more.pop(key) for key in list(more) if key[0].isupper()}
        config = {**self.settings, "Env": ["PATH=/bin", "A=1"], **settings}
        below = [{**self.history[0], "created_by": f"COPY {one}"} for one in layers]
        history = [
            *more.pop("below", below),
            *more.pop("own", [
                {"created": EPOCH, "created_by": "COPY app /app/ # buildkit", "comment": "b"},
                {"created": EPOCH, "created_by": "ENV A=1", "comment": "b", "empty_layer": True},
            ]),
        ]  # fmt: skip
        return self.image("app", [*layers, "own"], config, history, **more)

    def check(self, image, old, new, *, dockerfile=None, **more):
        given = {
            "image": ImageRef(self.registry.host, "app", image),
            "runtime": BASE,
            "recorded": {BASE: old},
            "now": {BASE: new},
            "registry": self.registry,
            "where": lambda _reference: (self.base_registry, "base"),
            "platforms": ("linux/amd64",),
            "annotations": {},
        }
        return check_rebase(facts(dockerfile or self.dockerfile), **{**given, **more})


def facts(text, **options):
    dockerfile = parse_dockerfile(text.encode(), name="Dockerfile")
    given = {
        "name": "app",
        "dockerfile": "Dockerfile",
        "context": ".",
        "target": None,
        "args": {},
        "platforms": ("linux/amd64",),
        "builder_platform": "linux/amd64",
        "repository": "app",
        "tags": ("1",),
    }
    return facts_of(interpret(ImageSpec(**{**given, **options}), dockerfile, {}))


@pytest.fixture
def read_facts():
    return facts


@pytest.fixture
def world():
    return World()


@pytest.fixture
def memory():
    return Memory


@pytest.fixture
def failing():
    """Return the names of the conditions that fail; there is no plan then."""

    def names(check):
        found = [one.name for one in check.conditions if not one.holds]
        assert (check.plan is None) == bool(found)
        return found

    return names
