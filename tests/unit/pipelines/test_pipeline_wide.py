"""When the tags of other repositories' images move, and when they stay."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aksci.cascade.dependents.survey_result import Found, Move
from aksci.oci.references import ImageRef
from aksci.oci.registry import Manifest
from pipelines.wide import _Visit

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class Tags:
    """A registry of tags alone, which notes the order in which they move."""

    host = "r:1"

    def __init__(self):
        self.means = {}
        self.moved = []

    def resolve(self, repository, tag):
        return self.means.get((repository, tag), OLD)

    def manifest(self, _repository, digest):
        return Manifest(media_type="m", digest=digest, content=digest.encode())

    def put_manifest(self, repository, content, _media_type, *, tag):
        self.means[repository, tag] = content.decode()
        self.moved.append(repository)


def found(name, *parents):
    moves = [
        Move(reference=f"r:1/{one}:1", type="runtime", recorded=OLD, current=OLD, parent=ref(one))
        for one in parents
    ]
    outside = Move(reference="docker.io/x:1", type="runtime", recorded=OLD, current=NEW)
    return Found(
        ref=ref(name), tags=("1",), moves=tuple(moves) or (outside,), annotations={}, lineage=None
    )


def ref(name, digest=OLD):
    return ImageRef("r:1", name, digest)


EVERY = [found("base"), found("mid", "base"), found("app", "mid"), found("lone")]


@pytest.fixture
def visit():
    registry = Tags()
    work = SimpleNamespace(
        registry=registry,
        bench=SimpleNamespace(vouches=None),
        context=SimpleNamespace(
            now=None, run_id="1", reporter=SimpleNamespace(line=lambda _text: None)
        ),
    )
    made = _Visit(work=work, asking=SimpleNamespace())
    for one in EVERY:
        made._passed.append(one)
        made.remade[one.ref] = ref(one.ref.repository, NEW)
        made._tell(one, "rebased", "")
    made.registry = registry
    return made


def actions(visit):
    return {one.repository: one.action for one in visit.told.values()}


def test_children_move_first_so_that_a_run_that_dies_is_found_to_have_died(visit):
    visit.move_tags(EVERY)
    assert visit.registry.moved == ["lone", "app", "mid", "base"]
    assert set(actions(visit).values()) == {"rebased"}


def test_what_stands_under_a_failure_waits_with_it_and_the_others_move(visit):
    """Up to date, it would never be found again, and what failed on it neither."""
    visit._passed.remove(EVERY[2])
    del visit.remade[EVERY[2].ref]
    visit._tell(EVERY[2], "failed", "the gate refused it")
    visit.move_tags(EVERY)
    assert visit.registry.moved == ["lone"]
    assert actions(visit) == {"base": "failed", "mid": "failed", "app": "failed", "lone": "rebased"}
    assert set(visit.remade) == {ref("lone")}


def test_nothing_stands_on_what_no_tag_means(visit):
    visit.registry.means["mid", "1"] = "sha256:" + "9" * 64
    visit.move_tags(EVERY)
    assert visit.registry.moved == ["lone", "base"]
    assert visit.registry.means["mid", "1"] == "sha256:" + "9" * 64
    assert actions(visit)["app"] == "failed"
