"""An engine in memory makes images that hold together as BuildKit's do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aksci.core.errors import BuildError
from aksci.images.engines.builder import BuildRequest
from aksci.oci.references import ImageRef
from aksci.oci.registry import read_child, read_configuration
from aksci.testing.memory_bases import MemoryBases
from aksci.testing.memory_builder import MemoryBuilder
from aksci.testing.memory_registry import MemoryRegistry

HOST = "shop.test"


@pytest.fixture
def bases():
    return MemoryBases()


@pytest.fixture
def make(bases):
    """Make an engine that pushes to a registry of its own."""

    def make(**options):
        registry = MemoryRegistry(HOST, complete=True)
        builder = MemoryBuilder(
            lambda host: registry if host == HOST else bases.connect(host), **options
        )
        return builder, registry

    return make


def request(**changes):
    given = {
        "name": "web",
        "dockerfile": Path("web/Dockerfile"),
        "context": Path("web"),
        "target": None,
        "args": {},
        "platforms": ("linux/amd64",),
        "parents": {},
        "annotations": {},
        "secrets": (),
        "repository": f"{HOST}/shop/web",
        "tag": "unchecked-1",
        "fresh": False,
        "timeout": 1,
    }
    return BuildRequest(**{**given, **changes})


def on_debian(bases):
    digest = bases.digest("debian:bookworm")
    return {
        "parents": {"debian:bookworm": f"docker.io/library/debian@{digest}"},
        "annotations": {"org.opencontainers.image.base.digest": digest},
    }


def silent(_line):
    pass


def test_the_same_inputs_give_the_same_digest(make, bases):
    asked = request(**on_debian(bases))
    one, other = (make()[0].build(asked, silent).digest for _ in range(2))
    assert one == other
    changes = ({"tag": "unchecked-2"}, {"target": "x"}, {"args": {"a": "b"}})
    digests = {make()[0].build(replace(asked, **each), silent).digest for each in changes}
    assert len(digests | {one}) == 4


def test_another_base_gives_another_digest_and_its_layers_are_below(make, bases):
    builder, registry = make()
    before = builder.build(request(**on_debian(bases)), silent).digest
    bases.move("debian:bookworm")
    after = builder.build(request(**on_debian(bases)), silent).digest
    assert before != after

    layers = read_configuration(registry, "shop/web", registry.manifest("shop/web", after)).diff_ids
    hub = bases.connect("docker.io")
    index = hub.manifest("library/debian", bases.digest("debian:bookworm"))
    base = read_child(hub, "library/debian", index.images[0])
    assert layers[:-1] == read_configuration(hub, "library/debian", base).diff_ids
    assert len(layers) == 2


def test_another_parent_that_is_no_base_gives_another_digest(make, bases):
    builder, _ = make()
    digests = set()
    for digest in (bases.digest("golang:1.25"), bases.move("golang:1.25")):
        parents = {"golang:1.25": f"docker.io/library/golang@{digest}"}
        digests.add(builder.build(request(parents=parents), silent).digest)
    assert len(digests) == 2


def test_several_platforms_make_an_index(make):
    builder, registry = make()
    digest = builder.build(request(platforms=("linux/amd64", "linux/arm64")), silent).digest
    entries = registry.manifest("shop/web", digest).images
    assert [each.platform.name for each in entries] == ["linux/amd64", "linux/arm64"]


def test_a_base_that_lacks_the_platform_is_a_failed_build(make, bases):
    with pytest.raises(BuildError, match=r"web did not build:(?s:.*)no image for linux/s390x"):
        make()[0].build(request(platforms=("linux/s390x",), **on_debian(bases)), silent)


def test_an_image_fails_as_it_is_told_and_recovers(make):
    builder, _ = make()
    builder.fail("web", "pip: no matching distribution")
    with pytest.raises(BuildError, match=r"web did not build:\n\npip: no matching"):
        builder.build(request(), silent)
    builder.build(request(name="api"), silent)
    builder.recover()
    builder.build(request(), silent)
    assert [each.name for each in builder.requests] == ["web", "api", "web"]
    assert builder.built == ["api", "web"]


def test_nothing_is_built_after_a_stop(make):
    builder, registry = make()
    builder.stop()
    with pytest.raises(BuildError, match="stopped"):
        builder.build(request(), silent)
    assert registry.calls == []


def test_what_an_image_runs_can_be_told(make):
    builder, registry = make(runs={"web": {}})
    ends = {}
    for name in ("web", "api"):
        asked = request(name=name, repository=f"{HOST}/shop/{name}")
        digest = builder.build(asked, silent).digest
        ref = ImageRef(HOST, f"shop/{name}", digest)
        manifest = registry.manifest(ref.repository, ref.digest)
        ends[name] = read_configuration(registry, ref.repository, manifest).settings
    assert ends == {"web": {}, "api": {"Entrypoint": ["/app"]}}
