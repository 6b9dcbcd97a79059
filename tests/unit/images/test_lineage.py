"""What is stored beside an image can be read again; what is damaged explains nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.images.lineage import Lineage, Step, read_files, read_lineage, write_lineage
from aksci.oci.references import ImageRef
from aksci.oci.registry import Manifest

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


class Shelf:
    """A registry in memory: blobs and manifests by digest, tags, referrers."""

    host = "r:1"

    def __init__(self):
        self.contents = {}
        self.tags = {}
        self.found = []
        self.error = None

    def resolve(self, _repository, reference):
        return self.tags.get(reference, reference if reference in self.contents else None)

    def manifest(self, _repository, reference):
        digest = self.tags.get(reference, reference)
        content = self.blob(_repository, digest)
        return Manifest(media_type="m", digest=digest, content=content)

    def blob(self, _repository, digest):
        if self.error:
            raise self.error
        if digest not in self.contents:
            raise NotFoundInRegistry(digest)
        return self.contents[digest]

    def put_blob(self, _repository, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.contents[digest] = content
        return digest

    def put_manifest(self, repository, content, _media_type, *, tag=None):
        digest = self.put_blob(repository, content)
        document = json.loads(content)
        if "subject" in document:
            self.found.append({"digest": digest, **document})
        if tag:
            self.tags[tag] = digest
        return digest

    def referrers(self, _repository, digest):
        return [one for one in self.found if one["subject"]["digest"] == digest]


@pytest.fixture
def shelf():
    registry = Shelf()
    digest = registry.put_manifest("shop/web", b"{}", "m", tag="latest")
    registry.ref = ImageRef(registry.host, "shop/web", digest)
    return registry


def write(shelf, lineage=LINEAGE, *, files=FILES, now=NOW):
    return write_lineage(shelf, shelf.ref, lineage, provenance={"p": 1}, now=now, files=files)


def test_what_was_written_is_read_with_its_files(shelf):
    write(shelf)
    found = read_lineage(shelf, "shop/web", "latest")
    assert found.created == "2026-11-23T12:00:00Z"
    assert (found.parents, found.edges, found.steps) == (
        LINEAGE.parents,
        LINEAGE.edges,
        LINEAGE.steps,
    )
    assert (found.run, found.revision, found.key_schema) == ("run-7", "abc", 3)
    assert read_files(shelf, "shop/web", found) == FILES


def test_the_same_input_is_the_same_artifact(shelf):
    assert write(shelf) == write(shelf, files=dict(reversed(FILES.items())))


def test_the_latest_build_counts_unless_a_key_is_asked_for(shelf):
    write(shelf)
    write(shelf, replace(LINEAGE, input_key="other"), now=NOW.replace(hour=13))
    assert read_lineage(shelf, "shop/web", "latest").input_key == "other"
    assert read_lineage(shelf, "shop/web", "latest", input_key="k").input_key == "k"
    assert read_lineage(shelf, "shop/web", "latest", input_key="?").input_key == "other"


def test_of_very_many_files_only_the_number_is_kept(shelf):
    ref = write(shelf, files={str(number): "f" for number in range(20_001)})
    found = read_lineage(shelf, "shop/web", "latest")
    assert read_files(shelf, "shop/web", found) is None
    layers = json.loads(shelf.contents[ref.digest])["layers"]
    assert json.loads(shelf.contents[layers[0]["digest"]])["files"] == 20_001
    assert len(layers) == 2


def test_an_image_without_lineage_or_without_the_tag_has_none(shelf):
    assert read_lineage(shelf, "shop/web", "latest") is None
    assert read_lineage(shelf, "shop/web", "nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b"\xff", b'{"layers": []}', b'{"layers": [{"digest": "sha256:0"}]}', b"3"],
)
def test_a_damaged_record_explains_nothing(shelf, damage):
    ref = write(shelf)
    shelf.contents[ref.digest] = damage
    assert read_lineage(shelf, "shop/web", "latest") is None


@pytest.mark.parametrize(
    "damage", [b"", b"x", gzip.compress(b"[]"), gzip.compress(b"{"), gzip.compress(b"x" * 99)]
)
def test_a_damaged_list_of_files_explains_nothing(shelf, damage):
    write(shelf)
    found = read_lineage(shelf, "shop/web", "latest")
    shelf.contents[found.file_list] = damage
    assert read_files(shelf, "shop/web", found) is None
    del shelf.contents[found.file_list]
    assert read_files(shelf, "shop/web", found) is None


def test_a_list_that_would_fill_the_memory_is_not_unpacked(shelf):
    write(shelf)
    found = read_lineage(shelf, "shop/web", "latest")
    bomb = b'{"files": {"a": "' + b"x" * (70 << 20) + b'"}}'
    shelf.contents[found.file_list] = gzip.compress(bomb, 1)
    assert read_files(shelf, "shop/web", found) is None


def test_a_registry_that_fails_is_an_error_and_not_unknown(shelf):
    write(shelf)
    shelf.error = RegistryError("503")
    with pytest.raises(RegistryError, match="503"):
        read_lineage(shelf, "shop/web", "latest")
