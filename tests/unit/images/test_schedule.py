"""The ready queue: order, isolation of failures, Ctrl-C."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import BuildError
from aksci.images.schedule import run_ready

DIAMOND = {
    "base": frozenset(),
    "left": frozenset({"base"}),
    "right": frozenset({"base"}),
    "top": frozenset({"left", "right"}),
    "alone": frozenset(),
}


def test_each_name_gets_the_results_of_its_own_parents():
    outcome = run_ready(
        DIAMOND, lambda name, results: (name, sorted(results)), workers=4, stop=lambda: None
    )
    assert outcome.done["top"] == ("top", ["left", "right"])
    assert set(outcome.done) == set(DIAMOND)


def test_a_failure_stops_its_descendants_only():
    def work(name, results):
        if name == "left":
            raise BuildError("no")
        return name

    outcome = run_ready(DIAMOND, work, workers=2, stop=lambda: None)
    assert set(outcome.done) == {"base", "right", "alone"}
    assert set(outcome.failed) == {"left"}
    assert outcome.blocked == {"top": frozenset({"left"})}


def test_a_child_starts_before_unrelated_slow_work_ends():
    """No waves: the chain is through while ``slow`` still waits for it."""
    through = threading.Event()

    def work(name, results):
        if name == "slow":
            return through.wait(10)
        if name == "c":
            through.set()
        return True

    parents = {
        "slow": frozenset(),
        "a": frozenset(),
        "b": frozenset({"a"}),
        "c": frozenset({"b"}),
    }
    assert run_ready(parents, work, workers=2, stop=lambda: None).done["slow"] is True


def test_ctrl_c_stops_the_work_and_is_raised_again():
    begun, ended = threading.Event(), threading.Event()

    def work(name, results):
        if name == "interrupt":
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        assert ended.wait(10)

    with pytest.raises(KeyboardInterrupt):
        run_ready(
            {"interrupt": frozenset(), "works": frozenset(), "never": frozenset({"works"})},
            work,
            workers=2,
            stop=ended.set,
        )
    assert ended.is_set()


@given(
    st.dictionaries(
        st.integers(0, 15), st.tuples(st.sets(st.integers(0, 15)), st.booleans()), max_size=16
    )
)
def test_every_name_ends_done_failed_or_blocked_and_never_before_its_parents(drawn):
    names = {f"{number:02}": edges for number, edges in drawn.items()}
    parents = {
        name: frozenset(f"{one:02}" for one in edges if f"{one:02}" in names and one < int(name))
        for name, (edges, _) in names.items()
    }

    def work(name, results):
        assert set(results) == parents[name]
        if names[name][1]:
            raise BuildError(name)
        return name

    outcome = run_ready(parents, work, workers=4, stop=lambda: None)
    assert sorted([*outcome.done, *outcome.failed, *outcome.blocked]) == sorted(names)
    for name in outcome.blocked:
        assert not parents[name] <= set(outcome.done)


def test_as_many_work_at_once_as_there_are_workers():
    lock = threading.Lock()
    now, most = 0, 0

    def work(name, results):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    run_ready({str(n): frozenset() for n in range(8)}, work, workers=3, stop=lambda: None)
    assert most == 3


def test_a_failure_blocks_a_chain_that_is_longer_than_recursion_goes():
    chain = {"0": frozenset(), **{str(at): frozenset({str(at - 1)}) for at in range(1, 3000)}}

    def work(name, results):
        raise BuildError("no")

    outcome = run_ready(chain, work, workers=1, stop=lambda: None)
    assert len(outcome.blocked) == 2999
    assert outcome.blocked["2999"] == {"0"}
