"""Drift against the real registry, with an image of several platforms as the base."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from aksci.cascade.drift import PolicyDigests, SourceEdge, compare_edges
from aksci.cascade.published import read_published
from aksci.config.cascade_models import CascadeConfig
from aksci.images.bases import RegistryBases
from aksci.images.discovery.specs import ImageSpec
from aksci.images.keys import KEY_SCHEMA, Source, input_key
from aksci.images.lineage import Lineage, write_lineage
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BASE_NAME, BASE_DIGEST = (f"org.opencontainers.image.base.{word}" for word in ("name", "digest"))


@pytest.fixture
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def base(registry):
    """An image from outside whose tags can be moved, platform by platform."""
    repository = f"test/{secrets.token_hex(4)}"

    def push(tag, **builds):
        manifests = []
        for architecture, build in builds.items():
            config = {"architecture": architecture, "os": "linux", "config": {"Cmd": [build]}}
            ref = push_image(
                registry, repository, f"{architecture}-{build}", layers=[], config=config
            )
            size = len(registry.manifest(repository, ref.digest).content)
            place = {"os": "linux", "architecture": architecture}
            entry = {"mediaType": MANIFEST, "digest": ref.digest, "size": size, "platform": place}
            manifests.append(entry)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return registry.put_manifest(repository, json.dumps(index).encode(), INDEX, tag=tag)

    return SimpleNamespace(name=f"{registry.host}/{repository}", push=push)


def publish(registry, reference, digest):
    """Publish an image that records one base; return its specification."""
    repository = f"test/{secrets.token_hex(4)}"
    source = Source(recipe="r", args={}, target=None, platforms=("linux/amd64",), tree="t")
    config = {"architecture": "amd64", "os": "linux"}
    ref = push_image(registry, repository, "latest", layers=[], config=config)
    manifest = json.loads(registry.manifest(repository, ref.digest).content)
    manifest["annotations"] = {BASE_NAME: reference, BASE_DIGEST: digest}
    registry.put_manifest(repository, json.dumps(manifest).encode(), MANIFEST, tag="latest")
    spec = ImageSpec(
        name="app",
        dockerfile="Dockerfile",
        context=".",
        target=None,
        args={},
        platforms=("linux/amd64",),
        builder_platform="linux/amd64",
        repository=repository,
        tags=("latest",),
    )
    lineage = Lineage(
        image="app",
        key_schema=KEY_SCHEMA,
        input_key=input_key(source, {reference: digest}),
        source=source.document(),
        parents={reference: digest},
        revision="",
        edges={reference: {"type": "runtime"}},
    )
    uri = f"pkg:docker/{reference.replace(':1.4', '')}?digest={digest}&platform=linux%2Famd64"
    write_lineage(
        registry,
        read_published(registry, spec).ref,
        lineage,
        provenance={"materials": [{"uri": uri}]},
        now=datetime(2026, 11, 24, tzinfo=UTC),
    )
    return spec


def edge(registry, spec, **config):
    published = read_published(registry, spec)
    assert published.problem == ""
    resolver = RegistryBases(mirror=None, connect=lambda _host: registry)
    (reference,) = published.lineage.parents
    [found] = compare_edges(
        published,
        edges={reference: SourceEdge("runtime")},
        graph_parents={},
        policy_digests=PolicyDigests(resolver),
        config=CascadeConfig.model_validate(config),
        only=None,
        batch=False,
    )
    return found


def test_an_index_is_compared_with_an_index_and_drifts_when_any_platform_moves(registry, base):
    first = base.push("1.4", amd64="a", arm64="a")
    spec = publish(registry, f"{base.name}:1.4", first)
    assert edge(registry, spec).state == "same"
    second = base.push("1.4", amd64="a", arm64="b")
    found = edge(registry, spec)
    assert (found.state, found.recorded, found.current) == ("drifted", first, second)


def test_a_newer_tag_of_a_range_is_found_among_all_tags(registry, base):
    spec = publish(registry, f"{base.name}:1.4", base.push("1.4", amd64="a"))
    newest = base.push("1.10", amd64="b")
    base.push("1.9", amd64="c")
    base.push("2.0", amd64="d")
    found = edge(registry, spec, bases=({"base": base.name, "tags": "1.x"},))
    assert (found.state, found.current, found.tag) == ("drifted", newest, "1.10")
