"""The cascades that are measured: what they are based on, how they must end, and their bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from aksci.config.loader import load_config
from aksci.images.graph import build_graph
from benchmarks.cascades import narrow, parts_of, require_done, tree
from benchmarks.measure import FailedError
from benchmarks.repository import RUNNING, design, write_repository


def report(*make, gate=0.0, action="rebuilt", path=1.0, step=1.0):
    return {
        "actions": {action: len(make)},
        "images": [{"seconds": {"make": one, "gate": gate}} for one in make],
        "criticalPath": {"seconds": path},
        "steps": {"images": step},
    }


@pytest.mark.parametrize("images", [1, 2, 3, 10, 100, 300, 400])
def test_a_narrow_repository_never_wants_more_than_the_slots_nor_too_many_layers(images):
    levels = Counter(one.level for one in design(narrow(images)))
    assert max(levels.values()) <= 16
    assert len(levels) * 2 < 100


@pytest.mark.parametrize("images", [10, 100, 300])
def test_a_tree_is_four_levels_deep_and_about_half_of_it_is_on_the_top(images):
    levels = Counter(one.level for one in design(tree(images)))
    assert len(levels) == 4
    assert 0.4 <= levels[3] / images <= 0.6


def test_the_slots_bound_a_wide_cascade_and_the_chain_a_narrow_one():
    wide = parts_of(report(*[1.0] * 40, path=2.0, step=3.5), 16)
    assert wide == {"step images": 3.5, "critical path": 2.0, "lower bound, 16 at once": 2.5}
    assert parts_of(report(1.0, 1.0, path=2.0), 16)["lower bound, 16 at once"] == 2.0


def test_what_was_not_measured_as_it_should_be_does_not_count():
    require_done(report(1.0, 1.0), {"rebuilt": 2}, gate=False)
    require_done(report(1.0, gate=0.5), {"rebuilt": 1}, gate=True)
    with pytest.raises(FailedError, match=r"did .*rebuilt.*, not .*reused"):
        require_done(report(1.0, 1.0), {"reused": 2}, gate=False)
    with pytest.raises(FailedError, match="through the gate"):
        require_done(report(1.0, gate=0.5), {"rebuilt": 1}, gate=False)
    with pytest.raises(FailedError, match="around the gate"):
        require_done(report(1.0), {"rebuilt": 1}, gate=True)


def test_all_dockerfiles_of_a_repository_have_the_same_base_from_outside(tmp_path):
    root = tmp_path / "repository"
    base = "localhost:5000/outside:1"
    options = {"system": base, "recipe": RUNNING, "at_once": 16}
    write_repository(root, tree(10), project="bench", registry="localhost:5000", **options)
    config = load_config(root / "aksci.toml")
    graph = build_graph(root, config)
    assert config.build.concurrency == 16
    assert {one.reference for one in graph.external} == {base}
