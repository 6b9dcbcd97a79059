"""What is stored beside an image can be read again; what is damaged explains nothing."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aksci.core.errors import RegistryError
from aksci.images.lineage import Lineage, Step, read_files, read_lineage, write_lineage
from aksci.images.reasons import reasons_between
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINEAGE = Lineage(
    image="web",
    key_schema=3,
    input_key="k",
    source={"tree": "t", "args": {}},
    parents={"docker.io/shop/base:latest": "sha256:" + "1" * 64},
    revision="abc",
    edges={"docker.io/shop/base:latest": {"type": "copy", "image": "base"}},
    steps=(Step(keyword="RUN", hash="h", lines=(2, 3)),),
    run="run-7",
)
FILES = {"a": "f 644 x", "b\udcff": "l c d"}


@pytest.fixture
def registry():
    registry = MemoryRegistry("r:1")
    registry.ref = push_sample(registry, "shop/web", "latest")
    return registry


def stored(registry, digest):
    return json.loads(registry.blob("shop/web", digest))


def write(registry, lineage=LINEAGE, *, files=FILES, now=NOW):
    return write_lineage(registry, registry.ref, lineage, provenance={"p": 1}, now=now, files=files)


def test_what_was_written_is_read_with_its_files(registry):
    write(registry)
    found = read_lineage(registry, "shop/web", "latest")
    assert found.created == "2026-11-23T12:00:00Z"
    assert (found.parents, found.edges, found.steps) == (
        LINEAGE.parents,
        LINEAGE.edges,
        LINEAGE.steps,
    )
    assert (found.run, found.revision, found.key_schema) == ("run-7", "abc", 3)
    assert read_files(registry, "shop/web", found) == FILES


def test_the_same_input_is_the_same_artifact(registry):
    assert write(registry) == write(registry, files=dict(reversed(FILES.items())))


def test_the_latest_build_counts_unless_a_key_is_asked_for(registry):
    write(registry)
    write(registry, replace(LINEAGE, input_key="other"), now=NOW.replace(hour=13))
    assert read_lineage(registry, "shop/web", "latest").input_key == "other"
    assert read_lineage(registry, "shop/web", "latest", input_key="k").input_key == "k"
    assert read_lineage(registry, "shop/web", "latest", input_key="?").input_key == "other"


def test_of_very_many_files_only_the_number_is_kept(registry):
    ref = write(registry, files={str(number): "f" for number in range(20_001)})
    found = read_lineage(registry, "shop/web", "latest")
    assert read_files(registry, "shop/web", found) is None
    layers = json.loads(registry.manifest("shop/web", ref.digest).content)["layers"]
    assert stored(registry, layers[0]["digest"])["files"] == 20_001
    assert len(layers) == 2


def test_an_image_without_lineage_or_without_the_tag_has_none(registry):
    assert read_lineage(registry, "shop/web", "latest") is None
    assert read_lineage(registry, "shop/web", "nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b"\xff", b'{"layers": []}', b'{"layers": [{"digest": "sha256:0"}]}', b"3"],
)
def test_a_damaged_record_explains_nothing(registry, damage):
    ref = write(registry)
    registry.plant("shop/web", damage, digest=ref.digest)
    assert read_lineage(registry, "shop/web", "latest") is None


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"args": [["A"]]}},
        {"source": {"args": {"A": 1}}},
        {"source": {"args": "A"}},
        {"parents": {"docker.io/library/debian:12": 3}},
        {"edges": {"docker.io/library/debian:12": {"type": ["runtime"]}}},
    ],
)
def test_a_record_with_values_that_are_no_texts_explains_nothing(registry, change):
    """Whoever may push can write one; comparing it would end each plan and build in a traceback."""
    write(registry, replace(LINEAGE, **change))
    assert read_lineage(registry, "shop/web", "latest") is None


def test_an_edge_that_was_recorded_without_its_type_is_compared_all_the_same():
    parents = {**LINEAGE.parents, "x:1": "sha256:" + "2" * 64}
    old = replace(LINEAGE, parents=parents, edges={"x:1": {"image": "x"}})
    (reason,) = reasons_between(old, LINEAGE)
    assert (reason["code"], reason["reference"], reason["edge"]) == ("PARENT", "x:1", "runtime")


@pytest.mark.parametrize(
    "damage",
    [b"", b"x", *map(gzip.compress, [b"[]", b"{", b"x" * 99, b"[" * 100_000, b'{"files": {}}x'])],
)
def test_a_damaged_list_of_files_explains_nothing(registry, damage):
    write(registry)
    found = read_lineage(registry, "shop/web", "latest")
    registry.plant("shop/web", damage, digest=found.file_list)
    assert read_files(registry, "shop/web", found) is None
    registry.delete("shop/web", found.file_list)
    assert read_files(registry, "shop/web", found) is None


def test_a_list_that_would_fill_the_memory_is_not_unpacked(registry):
    write(registry)
    found = read_lineage(registry, "shop/web", "latest")
    bomb = b'{"files": {"a": "' + b"x" * (70 << 20) + b'"}}'
    registry.plant("shop/web", gzip.compress(bomb, 1), digest=found.file_list)
    assert read_files(registry, "shop/web", found) is None


def test_a_registry_that_fails_is_an_error_and_not_unknown(registry):
    write(registry)
    registry.fail("*", RegistryError("503"))
    with pytest.raises(RegistryError, match="503"):
        read_lineage(registry, "shop/web", "latest")
