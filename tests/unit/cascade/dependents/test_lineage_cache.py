"""What is remembered of images is what was read, in files that nothing else can choose."""

from __future__ import annotations

import json
import os

import pytest

from aksci.cascade.dependents.image_records import ImageRecord, LineageCache
from aksci.images.lineage import Lineage, Step
from aksci.oci.references import ImageRef

REF = ImageRef("r:1", "pay/api", "sha256:" + "1" * 64)
LINEAGE = Lineage(
    image="api",
    key_schema=3,
    input_key="k",
    source={"tree": "t", "args": {"A": "1"}},
    parents={"docker.io/shop/base:latest": "sha256:" + "2" * 64},
    revision="abc",
    edges={"docker.io/shop/base:latest": {"type": "copy"}},
    steps=(Step(keyword="RUN", hash="h", lines=(2, 3)),),
    run="run-7",
    created="2026-11-24T12:00:00Z",
)
RECORD = ImageRecord(image=True, base=("\ud800", "y"), lineage=LINEAGE)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "cache"


@pytest.fixture
def cache(folder):
    return LineageCache(folder, most=3)


@pytest.mark.parametrize(
    "record", [RECORD, ImageRecord(image=False), ImageRecord(image=True, base=None)]
)
def test_what_was_put_is_got(cache, record):
    assert cache.get(REF) is None
    cache.put(REF, record)
    assert cache.get(REF) == record


def test_only_its_owner_may_read_it(cache, folder):
    cache.put(REF, RECORD)
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_same_digest_elsewhere_is_another_image(cache):
    cache.put(REF, RECORD)
    assert cache.get(ImageRef("r:1", "pay/other", REF.digest)) is None
    assert cache.get(ImageRef("r:2", "pay/api", REF.digest)) is None


def test_a_files_name_is_a_hash_whatever_the_repository_is_called(cache, folder):
    cache.put(ImageRef("../..", "pay/api", REF.digest), RECORD)
    (path,) = folder.iterdir()
    assert len(path.stem) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "[" * 100_000,
        lambda _: "3",
        lambda one: json.dumps({**one, "schema": 2}),
        lambda one: json.dumps({**one, "image": "other"}),
        lambda one: json.dumps({**one, "record": {**one["record"], "image": "yes"}}),
        lambda one: json.dumps({**one, "record": {**one["record"], "base": ["x"]}}),
        lambda one: json.dumps({**one, "record": {**one["record"], "lineage": {"image": "x"}}}),
        lambda one: json.dumps({**one, "pad": "x" * (1 << 20)}),
    ],
)
def test_a_damaged_file_is_the_same_as_none(cache, folder, change):
    cache.put(REF, RECORD)
    (path,) = folder.iterdir()
    path.write_text(change(json.loads(path.read_text())))
    assert cache.get(REF) is None
    cache.put(REF, RECORD)
    assert cache.get(REF) == RECORD


def test_what_an_older_aksci_remembered_of_an_image_beyond_is_left_out(cache, folder):
    cache.put(REF, RECORD)
    (path,) = folder.iterdir()
    document = json.loads(path.read_text())
    document["record"]["annotations"] = {"dev.aksci.rebase": "sha256:1"}
    document["record"]["lineage"]["rebase"] = {"schema": 1, "steps": ["COPY"]}
    path.write_text(json.dumps(document))
    assert cache.get(REF) == RECORD


@pytest.mark.parametrize("value", [5, {"a": 5}, [5]])
@pytest.mark.parametrize("name", ["edges", "steps"])
def test_a_lineage_with_another_shape_is_the_same_as_none(cache, folder, name, value):
    cache.put(REF, RECORD)
    (path,) = folder.iterdir()
    document = json.loads(path.read_text())
    document["record"]["lineage"][name] = value
    path.write_text(json.dumps(document))
    assert cache.get(REF) is None


def test_what_is_very_large_is_not_kept(cache, folder):
    cache.put(REF, ImageRecord(image=True, base=("x" * (1 << 20), "")))
    assert not folder.exists()


def test_a_folder_that_can_not_be_written_only_costs_requests(tmp_path):
    (tmp_path / "file").write_text("")
    cache = LineageCache(tmp_path / "file")
    cache.put(REF, RECORD)
    assert cache.get(REF) is None
    cache.prune()


def test_the_oldest_files_are_deleted_where_there_are_too_many(cache, folder):
    refs = [ImageRef("r:1", f"pay/a{number}", REF.digest) for number in range(5)]
    for number, ref in enumerate(refs):
        known = set(folder.iterdir()) if folder.exists() else set()
        cache.put(ref, RECORD)
        (path,) = set(folder.iterdir()) - known
        os.utime(path, (number, number))
    cache.prune()
    assert [cache.get(ref) is not None for ref in refs] == [False, False, True, True, True]
