"""External images: what their names and their ONBUILD mean, and what is said without them."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError, RegistryError, UnreachableError
from aksci.images.bases import BaseImageError, PinnedBases, RegistryBases
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import read_image
from aksci.images.inputs import inputs_of
from aksci.oci.manifest import OCI_INDEX
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

EMPTY = MemoryRegistry()


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("docker.io/docker/dockerfile:1", "remove the Dockerfile's line # syntax="),
        ("docker.io/library/debian:12", '"debian:12" = []'),
    ],
)
def test_the_hint_fits_what_is_missing(reference, hint):
    """A frontend can't be made by ``up`` as a Debian base can; it is not needed either."""
    resolve = RegistryBases(mirror=EMPTY, connect=lambda _: EMPTY)
    with pytest.raises(RegistryError, match=f"{reference} does not exist") as caught:
        resolve.digest(reference)
    assert hint in caught.value.hint


INDEX, AMD, ARM, CONFIG, OTHER = (f"sha256:{digit * 64}" for digit in "12345")
ADDED = ["COPY . /", "RUN <<E\nx\nE"]
CONTENT = {
    INDEX: {
        "manifests": [
            {"digest": AMD, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": ARM, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": OTHER, "platform": {"os": "unknown", "architecture": "unknown"}},
        ]
    },
    AMD: {"config": {"digest": CONFIG}},
    ARM: {"config": {"digest": OTHER}},
    CONFIG: {"config": {"OnBuild": ADDED}},
    OTHER: {"config": {"OnBuild": None}},
}


def shelf(content=CONTENT):
    """Return a registry that has a few documents in each of its repositories."""
    registry = MemoryRegistry("r.io")
    for repository in ("x", "library/x", "library/debian", "shop/base"):
        registry.move_tag(repository, "latest", INDEX)
        for digest, document in content.items():
            text = json.dumps(document).encode()
            media_type = OCI_INDEX if "manifests" in document else MANIFEST
            registry.plant(repository, text, digest=digest)
            registry.plant(repository, text, digest=digest, media_type=media_type)
    return registry


def test_onbuild_is_read_for_the_platforms_that_are_built_once_a_run_and_kept(tmp_path):
    found = shelf()
    resolve = RegistryBases(mirror=None, connect=lambda _: found, cache=tmp_path)
    for _ in range(2):
        assert resolve.onbuild("r.io/x:1", INDEX, ["linux/amd64"]) == tuple(ADDED)
    assert found.asked() == [INDEX, AMD, CONFIG]
    assert resolve.onbuild("r.io/x:1", INDEX, ["linux/arm64/v8"]) == ()
    later = shelf()
    resolve = RegistryBases(mirror=None, connect=lambda _: later, cache=tmp_path)
    assert resolve.onbuild("r.io/x:1", INDEX, ["linux/amd64"]) == tuple(ADDED)
    assert later.asked() == []


def test_what_a_kill_left_of_the_cache_is_read_again(tmp_path):
    found = shelf()
    for _ in range(2):
        resolve = RegistryBases(mirror=None, connect=lambda _: found, cache=tmp_path)
        assert resolve.onbuild("r.io/x:1", AMD, ["linux/amd64"]) == tuple(ADDED)
        for path in tmp_path.iterdir():
            path.write_text("[1")
    assert len(found.asked()) == 4


def test_a_cache_that_cant_be_written_keeps_nobody_from_planning(tmp_path):
    (tmp_path / "file").write_text("")
    resolve = RegistryBases(mirror=None, connect=lambda _: shelf(), cache=tmp_path / "file/onbuild")
    assert resolve.onbuild("r.io/x:1", AMD, ["linux/amd64"]) == tuple(ADDED)


def test_onbuild_comes_from_docker_hub_where_the_mirror_has_not_the_digest():
    found = shelf()
    resolve = RegistryBases(mirror=shelf({}), connect=lambda _: found)
    assert resolve.onbuild("docker.io/library/x:1", AMD, ["linux/amd64"]) == tuple(ADDED)


def test_something_that_is_no_image_is_a_clear_error():
    resolve = RegistryBases(mirror=None, connect=lambda _: shelf({AMD: [1]}))
    with pytest.raises(RegistryError, match=f"r.io/x@{AMD} is not an image"):
        resolve.onbuild("r.io/x:1", AMD, ["linux/amd64"])


HERE = {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            {INDEX: {"manifests": [{"digest": OTHER, "platform": HERE}]}, OTHER: {"manifests": []}},
            "in place of an image",
        ),
        ({INDEX: {"manifests": [{"digest": AMD, "platform": HERE}] * 65}}, "lists 65 images"),
        ({INDEX: {"manifests": [{"digest": "sha512:" + "1" * 128}]}}, "is no digest"),
        ({INDEX: {"manifests": [], "layers": []}}, "at once"),
        ({INDEX: {"config": {"digest": CONFIG}}, CONFIG: {"config": {"OnBuild": 5}}}, "no list"),
        ({INDEX: {"config": {"digest": CONFIG}}, CONFIG: {"layers": []}}, "it is a manifest, too"),
        ({INDEX: {"schemaVersion": 1, "fsLayers": []}}, "its schema is 1"),
    ],
)
def test_an_image_of_another_shape_is_a_clear_error_and_asks_no_more(content, why):
    found = shelf(content)
    resolve = RegistryBases(mirror=None, connect=lambda _: found)
    with pytest.raises(BaseImageError, match=why):
        resolve.onbuild("r.io/x:1", INDEX, ["linux/amd64"])
    assert len(found.calls) <= 2


@pytest.mark.parametrize("reference", ["r.io/x:1", "docker.io/library/x:1"])
def test_a_recorded_digest_that_its_registry_has_deleted_adds_nothing_and_any_other_is_an_error(
    reference,
):
    """What no tag names any more is cleaned away; a cascade still compares today's sources."""
    found = RegistryBases(mirror=shelf({}), connect=lambda _: shelf({}))
    gone = reference, AMD, ["linux/amd64"]
    assert PinnedBases({reference: AMD}, found).onbuild(*gone) == ()
    with pytest.raises(BaseImageError, match=f"{reference} can't be resolved"):
        PinnedBases({reference: ARM}, found).onbuild(*gone)


def test_a_recorded_digest_that_nobody_could_be_asked_for_is_an_error():
    def connect(host):
        raise UnreachableError(f"The registry {host} can't be reached.")

    found = PinnedBases({"r.io/x:1": AMD}, RegistryBases(mirror=None, connect=connect))
    with pytest.raises(BaseImageError, match="can't be reached"):
        found.onbuild("r.io/x:1", AMD, ["linux/amd64"])


def inputs(graph, resolver, built=None, name="app"):
    return inputs_of(
        graph,
        name,
        hasher=TreeHasher(graph.root),
        registry_host="r.io",
        built=built or {},
        bases=resolver,
    )


def test_what_onbuild_of_an_outside_base_reads_counts(project):
    graph = project({"app/Dockerfile": "FROM debian\nCOPY a /", "app/a": "", "app/b": ""})
    found = inputs(graph, RegistryBases(mirror=None, connect=lambda _: shelf()))
    assert graph.images["app"].recipe.sources == {"a"}
    assert found.image.recipe.sources is None
    assert found.source.key != inputs(graph, project.outside(lambda _: INDEX)).source.key
    again = read_image(graph.root, found.image.spec, {}, triggers=found.image.triggers)
    assert again.recipe == found.image.recipe


def test_onbuild_of_our_own_base_that_another_frontend_reads_is_asked_for_by_digest(project):
    files = {"base/Dockerfile": "# syntax=other/x\n!", "app/Dockerfile": "FROM shop/base"}
    graph = project(files)
    resolver = RegistryBases(mirror=None, connect=lambda _: shelf())
    found = inputs(graph, resolver, built={"base": AMD})
    assert [one.keyword for one in found.image.recipe.instructions] == ["FROM", "COPY", "RUN"]
    assert inputs(graph, resolver, built={"base": None}).key is None


def test_named_contexts_are_pinned_or_told_as_folders(project):
    (project.root / "shared").mkdir()
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\ncontexts = { "debian:latest" = "image:base", '
        'alpine = "docker-image://r.io/mirror:3", files = "shared" }\n'
    )
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": "FROM debian\n"}
    found = inputs(project(files, toml), project.outside(lambda _: INDEX), built={"base": AMD})
    assert found.pins == {"debian": f"r.io/shop/base@{AMD}", "alpine": f"r.io/mirror@{INDEX}"}
    assert found.contexts == {"files": "shared"}
    assert found.parents == {"docker.io/shop/base:latest": AMD, "r.io/mirror:3": INDEX}
    assert found.runtime == "docker.io/shop/base:latest"
    waiting = inputs(project(files, toml), project.outside(lambda _: INDEX), built={"base": None})
    assert waiting.key is None
    assert "debian" not in waiting.pins


def test_what_is_required_counts_but_is_not_pinned(project):
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\nrequires = ["base"]\n'
    )
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": "FROM scratch"}
    found = inputs(project(files, toml), project.outside(lambda _: INDEX), built={"base": AMD})
    assert found.parents == {"docker.io/shop/base:latest": AMD}
    assert found.pins == {}


def test_a_stage_called_like_an_image_of_ours_that_it_stands_on_is_an_error(project):
    """Pinned, the image would take the stage's place; unpinned, BuildKit would look elsewhere."""
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\nrepository = "base"\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\n'
    )
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": "FROM base AS base\nRUN x"}
    with pytest.raises(ConfigError, match="has a stage base, and takes the image base"):
        inputs(project(files, toml), project.outside(lambda _: INDEX), built={"base": AMD})


def test_contexts_that_change_places_change_the_key(project):
    """Their digests are the same two."""

    def key(one, two):
        contexts = f'contexts = {{ one = "image:{one}", two = "image:{two}" }}'
        toml = "".join(
            f'[images.{name}]\ndockerfile = "{name}/Dockerfile"\n' for name in ("a", "b")
        )
        toml += f'[images.app]\ndockerfile = "app/Dockerfile"\n{contexts}\n'
        text = "FROM scratch\nCOPY --from=one / /1\nCOPY --from=two / /2\n"
        files = {"a/Dockerfile": "FROM scratch", "b/Dockerfile": "FROM scratch"}
        graph = project({**files, "app/Dockerfile": text}, toml)
        return inputs(graph, project.outside(lambda _: INDEX), built={"a": AMD, "b": ARM}).key

    assert key("a", "b") != key("b", "a")


def test_the_escape_character_counts(project):
    """The same text means another path with it."""

    def key(directive):
        graph = project({"app/Dockerfile": f"{directive}FROM scratch\nCOPY a\\`b /\n"})
        return inputs(graph, project.outside(lambda _: INDEX)).key

    assert key("# escape=`\n") != key("# escape=\\\n")
    assert key("# escape=\\\n") == key("")
