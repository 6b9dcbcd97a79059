"""The baseline: what an image recorded of itself, trusted only where all that it says agrees."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from aksci.cascade.published import read_published
from aksci.core.errors import RegistryError
from aksci.images.context.hasher import TreeHasher
from aksci.images.inputs import inputs_of
from aksci.images.keys import Source, input_key
from aksci.images.lineage import read_lineage, write_lineage
from aksci.images.reasons import lineage_of
from aksci.oci.artifact import CREATED
from aksci.oci.manifest import OCI_INDEX
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEBIAN, TOOL, BASE, OTHER, ARM = (f"sha256:{digit * 64}" for digit in "12345")
OUTSIDE = {
    "docker.io/library/debian:12": DEBIAN,
    "docker.io/library/golang:1": TOOL,
    "r.io/m:1": OTHER,
}
FILES = {
    "base/Dockerfile": "FROM debian:12\n",
    "app/Dockerfile": "FROM golang:1 AS build\nFROM shop/base\nCOPY --from=build /x /\n",
}
BASE_NAME, BASE_DIGEST = (f"org.opencontainers.image.base.{word}" for word in ("name", "digest"))


def purl(name, digest):
    return {"uri": f"pkg:docker/{name}?digest={digest}&platform=linux%2Famd64"}


@pytest.fixture
def shop(project):
    """Publish an image as a build does: the manifest, its annotations, its record."""
    registry = MemoryRegistry("r:1")

    def lineage(name, files=FILES, built=None, **changed):
        graph = project(files)
        shop.specs = {name: image.spec for name, image in graph.images.items()}
        inputs = inputs_of(
            graph,
            name,
            hasher=TreeHasher(graph.root),
            registry_host=registry.host,
            built=built or {"base": BASE},
            bases=project.outside(OUTSIDE.__getitem__),
        )
        return replace(lineage_of(graph, name, inputs), **changed)

    def publish(
        record, *, annotations=None, materials=None, content=None, now=NOW, repository=None
    ):
        repository = repository or f"shop/{record.image}"
        document = content or {"schemaVersion": 2, "annotations": annotations or {}}
        media_type = OCI_INDEX if "manifests" in document else MANIFEST
        digest = registry.plant(repository, json.dumps(document).encode(), media_type=media_type)
        registry.move_tag(repository, "latest", digest)
        ref = ImageRef(registry.host, repository, digest)
        provenance = None if materials is None else {"materials": materials}
        return write_lineage(registry, ref, record, provenance=provenance, now=now)

    def read(name="base"):
        return read_published(registry, shop.specs[name])

    shop = SimpleNamespace(registry=registry, lineage=lineage, publish=publish, read=read)
    return shop


def layers_of(shop, record):
    """Return the digests of the layers of a record."""
    manifest = shop.registry.manifest(record.repository, record.digest)
    return [layer["digest"] for layer in json.loads(manifest.content)["layers"]]


def rekeyed(record, **changed):
    """Change a record as somebody would who knows how keys are made."""
    record = replace(record, **changed)
    return replace(record, input_key=input_key(Source(**record.source), record.parents))


def test_the_baseline_is_what_the_image_itself_recorded(shop):
    record = shop.lineage("app")
    notes = {BASE_NAME: "r:1/shop/base:latest", BASE_DIGEST: BASE}
    materials = [purl("golang", TOOL), purl("r:1/shop/base", BASE)]
    shop.publish(record, annotations=notes, materials=materials)
    found = shop.read("app")
    assert found.problem == ""
    assert found.image == "app"
    assert found.lineage.parents == {
        "docker.io/library/golang:1": TOOL,
        "docker.io/shop/base:latest": BASE,
    }
    assert found.lineage.edges == record.edges
    assert found.lineage.input_key == record.input_key
    assert found.identity == found.ref.digest == shop.registry.resolve("shop/app", "latest")
    assert str(found.ref).startswith("r:1/shop/app@")


def test_a_tag_that_does_not_exist_is_not_published(shop):
    shop.lineage("base")
    assert shop.read() is None
    assert read_published(shop.registry, replace(shop.specs["base"], tags=())) is None


def test_a_registry_error_is_not_not_found(shop):
    """EDGE-CASES: wherever on the way it fails, it is neither "not published" nor a problem."""
    record = shop.publish(shop.lineage("base"), materials=[purl("debian", DEBIAN)])
    for fails in (None, record.digest, *layers_of(shop, record)):
        for method in ("manifest", "blob"):
            shop.registry.fail(method, RegistryError("503"), reference=fails)
        with pytest.raises(RegistryError, match="503"):
            shop.read()
        shop.registry.recover()


def test_the_tag_is_asked_for_once_though_it_may_move(shop):
    shop.publish(shop.lineage("base"))
    shop.registry.calls.clear()
    shop.read()
    asked = shop.registry.asked()
    assert asked[0] == "latest"
    assert "latest" not in asked[1:]


def test_an_image_without_a_record_is_no_problem_and_has_no_baseline(shop):
    record = shop.publish(shop.lineage("base"))
    shop.registry.delete("shop/base", record.digest)
    found = shop.read()
    assert (found.lineage, found.problem) == (None, "")


def test_an_index_counts_without_its_attestations(shop):
    platform = {"digest": ARM, "platform": {"os": "linux", "architecture": "arm64"}}
    attestation = {
        "digest": OTHER,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    index = {"schemaVersion": 2, "manifests": [platform, attestation]}
    shop.publish(shop.lineage("base"), content=index)
    found = shop.read()
    assert found.ref.digest == shop.registry.resolve("shop/base", "latest")
    assert found.identity == ARM


def test_another_versions_key_is_a_problem(shop):
    shop.publish(shop.lineage("base", key_schema=2))
    found = shop.read()
    assert found.lineage is None
    assert found.problem == "it was built by another version of aksci"


@pytest.mark.parametrize(
    "change",
    [
        {"parents": {"docker.io/library/debian:12": OTHER}},
        {"parents": {}, "edges": {}},
        {"input_key": "0" * 64},
        {"input_key": ""},
    ],
)
def test_a_record_must_give_the_key_that_it_names(shop, change):
    """A forged digest would hide a drift; the key is what the signature binds."""
    shop.publish(shop.lineage("base", **change))
    found = shop.read()
    assert found.lineage is None
    assert "does not give the key" in found.problem


def test_a_source_that_is_not_the_recorded_one_gives_another_key(shop):
    record = shop.lineage("base")
    shop.publish(replace(record, source={**record.source, "tree": "x"}))
    assert "does not give the key" in shop.read().problem


@pytest.mark.parametrize(
    "change",
    [
        {"parents": {"docker.io/library/debian:12": None}},
        {"edges": {}},
        {"edges": {"docker.io/library/debian:12": {"type": "magic"}}},
        {"edges": {"docker.io/library/debian:12": {"type": "runtime", "image": ["x"]}}},
        {"edges": {"docker.io/library/debian:12": {"type": []}}},
        {"parents": {"docker.io/library/debian:12": "sha256:1"}},
        {"parents": {"docker.io/library/debian:12": 3}},
        {"parents": {"debian:12": DEBIAN}, "edges": {"debian:12": {"type": "runtime"}}},
        {"parents": {"A B": DEBIAN}, "edges": {"A B": {"type": "runtime"}}},
        {"source": {}},
        {"source": {"x": 1}},
        {"source": {"recipe": "", "args": 3, "target": 0, "platforms": 1, "tree": ""}},
    ],
)
def test_a_damaged_record_is_a_problem_and_never_a_traceback(shop, change):
    shop.publish(shop.lineage("base", **change))
    found = shop.read()
    assert found.lineage is None
    assert "the record of what it was built from is" in found.problem


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b"\xff", b'{"layers": []}', b"3", b"[" * 100_000, b'{"layers": 1}'],
)
@pytest.mark.parametrize("part", ["manifest", "record", "provenance"])
def test_whatever_lies_where_a_record_should_is_a_problem(shop, damage, part):
    ref = shop.publish(shop.lineage("base"), materials=[purl("debian", DEBIAN)])
    layers = layers_of(shop, ref)
    digests = {"manifest": ref.digest, "record": layers[0]}
    shop.registry.plant("shop/base", damage, digest=digests.get(part, layers[-1]))
    found = shop.read()
    if part == "provenance" and damage in {b"{}", b'{"layers": []}', b'{"layers": 1}'}:
        assert found.problem == ""  # it says of nothing that it was used
    else:
        assert (found.lineage, "damaged" in found.problem) == (None, True)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_record_with_a_layer_that_is_no_digest_is_passed_over_and_ends_nothing(shop, layer):
    """Else whoever may push could keep an image from being planned, built or made again."""
    honest = shop.publish(shop.lineage("base"), materials=[purl("debian", DEBIAN)])
    document = json.loads(shop.registry.manifest(honest.repository, honest.digest).content)
    files = {"mediaType": "application/vnd.aksci.files.v1+json+gzip", "digest": OTHER, "size": 1}
    document["layers"].insert(1, files)
    document["layers"][layer]["digest"] = "x"
    planted = shop.registry.plant("shop/base", json.dumps(document).encode(), media_type=MANIFEST)
    digest = shop.registry.resolve("shop/base", "latest")
    (entry,) = shop.registry.referrers("shop/base", digest)
    newest = {**entry, "digest": planted, "annotations": {CREATED: "2026-11-24T12:00:00Z"}}
    shop.registry.list_referrer("shop/base", digest, newest)
    assert read_lineage(shop.registry, "shop/base", digest) is None
    found = shop.read()
    assert (found.problem, found.lineage.parents) == ("", shop.lineage("base").parents)


@pytest.mark.parametrize("materials", [3, ["x"], [{"uri": "pkg:docker/x", "digest": [1]}], [None]])
def test_hostile_materials_are_a_problem(shop, materials):
    shop.publish(shop.lineage("base"), materials=materials)
    assert "damaged" in shop.read().problem


def test_a_provenance_that_is_gone_is_a_problem(shop):
    ref = shop.publish(shop.lineage("base"), materials=[purl("debian", DEBIAN)])
    shop.registry.delete("shop/base", layers_of(shop, ref)[-1])
    assert shop.read().problem == "a part of the record of what it was built from is missing"


@pytest.mark.parametrize("notes", [["x"], "x", {"dev.aksci.input-key": [1]}])
def test_hostile_notes_in_the_list_of_records_are_no_traceback(shop, notes):
    shop.publish(shop.lineage("base"))
    digest = shop.registry.resolve("shop/base", "latest")
    (entry,) = shop.registry.referrers("shop/base", digest)
    shop.registry.list_referrer("shop/base", digest, {**entry, "annotations": notes})
    shop.read()


# Annotations


def test_annotations_that_name_another_digest_of_the_base_are_a_problem(shop):
    notes = {BASE_NAME: "docker.io/library/debian:12", BASE_DIGEST: OTHER}
    shop.publish(shop.lineage("base"), annotations=notes)
    found = shop.read()
    assert found.lineage is None
    assert found.problem == (
        "its annotations name another digest of docker.io/library/debian:12 as its base than its "
        "record"
    )


def test_annotations_that_name_another_base_are_a_problem(shop):
    notes = {BASE_NAME: "docker.io/library/debian:11", BASE_DIGEST: DEBIAN}
    shop.publish(shop.lineage("base"), annotations=notes)
    assert "name docker.io/library/debian:11 as its base" in shop.read().problem


@pytest.mark.parametrize("name", ["##vso[task.complete]", "", "A", "x:\n"])
def test_annotations_that_name_nothing_are_a_problem_and_are_not_repeated(shop, name):
    shop.publish(shop.lineage("base"), annotations={BASE_NAME: name, BASE_DIGEST: DEBIAN})
    assert shop.read().problem == "its annotations name a base that can't be one"


@pytest.mark.parametrize("content", [{"annotations": ["x"]}, {"annotations": None}, {}, []])
def test_an_image_without_readable_annotations_has_its_record(shop, content):
    shop.publish(shop.lineage("base"), content=content or [["schemaVersion", 2]])
    assert shop.read().problem == ""


def test_a_parent_of_ours_may_count_as_something_else_than_its_digest(shop):
    """With attestations, ``parents`` holds what no manifest's digest is."""
    record = shop.lineage("app", built={"base": BASE})
    notes = {BASE_NAME: "r:1/shop/base:latest", BASE_DIGEST: OTHER}
    materials = [purl("golang", TOOL), purl("r:1/shop/base", OTHER)]
    shop.publish(record, annotations=notes, materials=materials)
    assert shop.read("app").problem == ""
    shop.publish(record, annotations={**notes, BASE_NAME: "r:1/shop/base:1"})
    assert "name r:1/shop/base:1 as its base" in shop.read("app").problem


# Provenance


@pytest.mark.parametrize("named", [True, False])
def test_many_newer_records_that_agree_with_themselves_do_not_hide_the_signed_one(shop, named):
    """Else one of them would have a cascade make an image again, each time."""
    record = shop.lineage("base")
    shop.publish(record)
    for number in range(60):
        other = rekeyed(record, source={**record.source, "args": {"n": str(number)}})
        if named:  # the annotation, which the list is sorted by, and not what the record gives
            other = replace(other, input_key=record.input_key)
        shop.publish(other, now=NOW.replace(year=2099))
    asked = []

    def key_of(ref):
        asked.append(ref)
        return record.input_key

    found = read_published(shop.registry, shop.specs["base"], key_of)
    assert (found.lineage.source, found.problem) == (record.source, "")
    assert asked == [found.ref]


def test_nobody_is_asked_for_the_key_where_there_is_one_record(shop):
    shop.publish(shop.lineage("base"))
    found = read_published(shop.registry, shop.specs["base"], lambda _: pytest.fail("asked"))
    assert found.problem == ""


def test_a_material_of_another_digest_than_is_recorded_is_a_problem(shop):
    """BuildKit saw another debian than the record says: the record would hide a drift."""
    shop.publish(shop.lineage("base"), materials=[purl("debian", OTHER)])
    found = shop.read()
    assert found.lineage is None
    assert "used another digest of docker.io/library/debian:12" in found.problem


def test_a_forged_record_that_agrees_with_itself_differs_from_the_materials(shop):
    record = rekeyed(shop.lineage("base"), parents={"docker.io/library/debian:12": OTHER})
    shop.publish(record)
    assert shop.read().problem == ""  # only its signature can tell
    shop.publish(record, materials=[purl("debian", DEBIAN)], now=NOW.replace(hour=13))
    assert "used another digest" in shop.read().problem


def test_materials_of_each_platform_count(shop):
    of_each = {
        platform: {"materials": [purl("debian", digest)]}
        for platform, digest in (("linux/amd64", DEBIAN), ("linux/arm64", ARM))
    }
    record = shop.publish(shop.lineage("base"))
    shop.registry.delete("shop/base", record.digest)
    digest = shop.registry.resolve("shop/base", "latest")
    ref = ImageRef(shop.registry.host, "shop/base", digest)
    write_lineage(shop.registry, ref, shop.lineage("base"), provenance=of_each, now=NOW)
    assert shop.read().problem == ""


def test_a_version_that_the_dockerfile_pins_beside_the_recorded_one_is_no_problem(shop):
    """Digests in Dockerfiles are no part of the record."""
    text = f"FROM debian@{OTHER} AS old\nFROM debian:12\nCOPY --from=old /x /x\n"
    record = shop.lineage("base", files={"base/Dockerfile": text})
    assert list(record.parents) == ["docker.io/library/debian:12"]
    shop.publish(record, materials=[purl("debian", OTHER), purl("debian", DEBIAN)])
    assert shop.read().problem == ""


def test_what_an_older_aksci_recorded_beyond_changes_nothing(shop):
    record = shop.lineage("base")
    notes = {BASE_NAME: "docker.io/library/debian:12", BASE_DIGEST: DEBIAN}
    stored = shop.publish(record, annotations={**notes, "dev.aksci.rebase": OTHER})
    manifest = json.loads(shop.registry.manifest("shop/base", stored.digest).content)
    document = json.loads(shop.registry.blob("shop/base", layers_of(shop, stored)[0]))
    facts = {"schema": 1, "steps": ["COPY"], "layers": 1}
    changed = json.dumps({**document, "rebase": facts}).encode()
    manifest["layers"][0]["digest"] = shop.registry.put_blob("shop/base", changed)
    shop.registry.delete("shop/base", stored.digest)
    shop.registry.put_manifest("shop/base", json.dumps(manifest).encode(), MANIFEST)
    found = shop.read()
    assert (found.problem, found.lineage.parents) == ("", record.parents)
    assert found.lineage.input_key == record.input_key


def test_a_named_context_that_nothing_uses_is_no_problem(shop, project):
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\n'
        'contexts = { spare = "docker-image://r.io/m:1" }\n'
    )
    files = {"base/Dockerfile": f"FROM r.io/m@{ARM}\n"}
    graph = project(files, toml)
    inputs = inputs_of(
        graph,
        "base",
        hasher=TreeHasher(graph.root),
        registry_host="r:1",
        built={},
        bases=project.outside(OUTSIDE.__getitem__),
    )
    shop.specs = {"base": graph.images["base"].spec}
    shop.publish(lineage_of(graph, "base", inputs), materials=[purl("r.io/m", ARM)])
    assert shop.read().problem == ""


# Several records of one digest


def test_the_latest_build_that_gave_the_same_bytes_is_the_baseline(shop):
    old = rekeyed(shop.lineage("base"), parents={"docker.io/library/debian:12": OTHER})
    shop.publish(shop.lineage("base"), now=NOW.replace(hour=13))
    shop.publish(old)
    assert shop.read().lineage.parents == {"docker.io/library/debian:12": DEBIAN}


def test_the_record_of_another_image_that_is_the_same_bytes_is_not_taken(shop):
    twin = rekeyed(
        replace(shop.lineage("base"), image="twin"), parents={"docker.io/library/debian:12": OTHER}
    )
    shop.publish(shop.lineage("base"))
    shop.publish(twin, now=NOW.replace(hour=13), repository="shop/base")
    assert shop.read().lineage.image == "base"
    shop.specs["base"] = replace(shop.specs["base"], name="third")
    assert shop.read().lineage.image == "twin"  # the latest, where it has none of its own


@pytest.mark.parametrize(
    "junk", [{"input_key": "0" * 64}, {"source": {"x": 1}}, {"edges": {}}, {"key_schema": [3]}]
)
def test_a_newer_record_that_contradicts_itself_does_not_hide_the_one_that_does_not(shop, junk):
    """Else whoever may push could have every cascade make every image again."""
    shop.publish(shop.lineage("base"))
    shop.publish(shop.lineage("base", **junk), now=NOW.replace(year=2099))
    found = shop.read()
    assert (found.problem, found.lineage.parents) == ("", {"docker.io/library/debian:12": DEBIAN})
