"""A registry on loopback with the images of several projects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.image_records import LineageCache
from aksci.images.lineage import Lineage, write_lineage
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef, digest_of
from aksci.testing.registry_server import serve
from aksci.testing.sample_images import MANIFEST

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONFIG = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def server():
    with serve() as running:
        yield running


@pytest.fixture
def registry(server):
    client = RegistryClient(server.host, plain_http=True, sleep=lambda _: None)
    yield client
    client.close()


@pytest.fixture
def world(server, registry, tmp_path):
    """A registry of several projects; ``find`` looks for dependents as the project ``shop``."""

    def put(name, document, kind=MANIFEST):
        repository, _, tag = name.partition(":")
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
        digest = registry.put_manifest(repository, content, kind, tag=tag or None)
        return ImageRef(server.host, repository, digest)

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
        put=put, image=image, record=record, find=find, cache=tmp_path / "cache", host=server.host
    )
