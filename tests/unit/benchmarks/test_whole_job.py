"""The whole job that is measured: its phases, what it must have done, and its repository."""

from __future__ import annotations

import pytest

from aksci.config.loader import load_config
from benchmarks.cascades import tree
from benchmarks.figures import Goal, summarise
from benchmarks.measure import FailedError
from benchmarks.repository import write_repository
from benchmarks.whole import phases_of, require_actions


def test_a_phase_ends_with_its_record_and_the_last_one_with_the_run():
    written = {"build": 12.0, "scan": 12.5, "sign and push": 14.0}
    found = phases_of(10.0, 15.0, written)
    assert found == {"build": 2.0, "scan": 0.5, "sign and push": 2.5}
    assert sum(found.values()) == 5.0


@pytest.mark.parametrize(
    ("written", "phase"),
    [
        ({"build": 9.0, "scan": 12.0}, "build"),
        ({"build": 12.0, "scan": 9.0}, "scan"),
        ({"build": 12.0, "scan": 11.0}, "scan"),
        ({"build": 12.0, "scan": 16.0}, "scan"),
    ],
)
def test_a_record_of_another_run_has_no_phase(written, phase):
    with pytest.raises(FailedError, match=phase):
        phases_of(10.0, 15.0, written)


def test_a_build_that_did_more_or_less_does_not_count():
    record = {"images": {"a": {"action": "built"}, "b": {"action": "reused"}}}
    require_actions(record, {"built": 1, "reused": 1})
    for actions in ({"built": 2}, {"reused": 2}, {"built": 1}):
        with pytest.raises(FailedError, match="the build did"):
            require_actions(record, actions)


def test_a_goal_without_a_ratio_is_one_in_seconds():
    def figures(seconds):
        return summarise([seconds], cpu=[seconds], memory=[1.0])

    goal = Goal(ours="us", peer="them", times=0, plus=3)
    assert goal.text() == "us <= 3 s"
    assert goal.reached(figures(3.0), figures(1.0))
    assert not goal.reached(figures(3.1), figures(100.0))


def test_both_scan_with_the_same_database(tmp_path):
    root = tmp_path / "repository"
    options = {"project": "bench", "registry": "localhost:5000", "database": "small"}
    write_repository(root, tree(10), **options)
    assert load_config(root / "aksci.toml").scan.database == "small"
