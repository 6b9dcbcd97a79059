"""The ready queue: order, isolation of failures, Ctrl-C."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import BuildError
from aksci.images.schedule import Unfinished, admitted, run_ready

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


# Results that don't count yet


def unfinished(name, **options):
    return Unfinished(result=name, finish=lambda: options.pop("counts", name), **options)


CHAIN = {"a": frozenset(), "b": frozenset({"a"}), "c": frozenset({"b"})}


def refuse():
    raise BuildError("no")


def test_children_begin_on_a_result_while_it_is_checked():
    through = threading.Event()

    def work(name, results):
        if name == "c":
            through.set()
        check = (lambda: through.wait(10) or refuse()) if name == "a" else None
        return unfinished(name, check=check)

    outcome = run_ready(CHAIN, work, workers=1, stop=lambda: None)
    assert sorted(outcome.done) == ["a", "b", "c"]


def test_children_wait_for_what_counts_where_they_may_not_go_ahead():
    seen = []

    def work(name, results):
        seen.append((name, dict(results)))
        return Unfinished(result="early", finish=name.upper, check=lambda: None, ahead=False)

    outcome = run_ready(CHAIN, work, workers=4, stop=lambda: None)
    assert seen == [("a", {}), ("b", {"a": "A"}), ("c", {"b": "B"})]
    assert outcome.done == {"a": "A", "b": "B", "c": "C"}


def test_what_began_on_a_result_that_does_not_count_in_the_end_is_done_again():
    seen = []
    began = threading.Event()

    def work(name, results):
        seen.append((name, dict(results)))
        if name == "a":
            check = lambda: began.wait(10) or refuse()  # noqa: E731 - one line says it all
            return Unfinished(result="early", finish=lambda: "late", check=check)
        if name == "c":
            began.set()
        return f"{name} on {next(iter(results.values()))}"

    outcome = run_ready(CHAIN, work, workers=4, stop=lambda: None)
    assert outcome.done == {"a": "late", "b": "b on late", "c": "c on b on late"}
    assert seen[-2:] == [("b", {"a": "late"}), ("c", {"b": "b on late"})]


def test_what_is_the_same_to_children_is_not_done_again():
    seen = []
    began = threading.Event()

    def work(name, results):
        seen.append(name)
        if name == "a":
            return Unfinished(result="A", finish=lambda: "a", check=lambda: began.wait(10))
        began.set()
        return name

    outcome = run_ready(
        CHAIN,
        work,
        workers=4,
        stop=lambda: None,
        same=lambda one, other: one.lower() == other.lower(),
    )
    assert (seen, outcome.done["a"]) == (["a", "b", "c"], "a")


def test_who_is_blocked_is_told_at_once():
    told = threading.Event()
    blocked = []

    def block(name, culprit, error):
        blocked.append((name, culprit, error.message))
        if name == "c":
            told.set()

    def work(name, results):
        if name == "b":
            assert told.wait(10)
        return unfinished(name, check=refuse if name == "a" else None)

    outcome = run_ready(CHAIN, work, workers=4, stop=lambda: None, block=block)
    assert blocked == [("b", "a", "no"), ("c", "a", "no")]
    assert (set(outcome.failed), outcome.done) == ({"a"}, {})


def test_what_can_t_count_any_more_is_neither_begun_nor_checked():
    called, blocked = [], set()
    told = threading.Event()

    def block(name, culprit, error):
        blocked.add(name)
        if blocked == {"child", "late"}:
            told.set()

    def work(name, results):
        called.append(name)
        if name in {"slow", "child"}:
            assert told.wait(10)
        check = refuse if name == "a" else lambda: called.append(f"check of {name}")
        return unfinished(name, check=check)

    parents = {
        "a": frozenset(),
        "slow": frozenset(),
        "child": frozenset({"a"}),
        "late": frozenset({"a", "slow"}),
    }
    outcome = run_ready(parents, work, workers=4, stop=lambda: None, block=block)
    assert sorted(called) == ["a", "check of slow", "child", "slow"]
    assert outcome.done == {"slow": "slow"}


def test_a_result_is_admitted_once_it_counts_and_one_that_counts_already_at_once():
    asked = []
    assert admitted("x", asked.append) == "x"
    assert asked == ["x"]
    later = admitted(unfinished("y"), asked.append)
    assert (asked, later.ahead) == (["x"], False)
    assert (later.finish(), asked) == ("y", ["x", "y"])
    assert admitted(unfinished("z"), refuse, ahead=True).ahead
    with pytest.raises(BuildError):
        admitted("x", lambda _: refuse())


def test_ctrl_c_in_a_check_stops_the_work_and_is_raised_again():
    begun, ended = threading.Event(), threading.Event()

    def check():
        begun.wait(10)
        raise KeyboardInterrupt

    def work(name, results):
        if name == "b":
            begun.set()
            assert ended.wait(10)
        return unfinished(name, check=check if name == "a" else None)

    with pytest.raises(KeyboardInterrupt):
        run_ready(CHAIN, work, workers=2, stop=ended.set)


WAYS = ("counts", "work fails", "check fails", "finish fails", "is there", "comes out otherwise")


def one_by_one(parents, ways):
    """Return what becomes of names where nothing begins before all that it needs counts."""
    done, failed, blocked = {}, set(), {}
    for name in sorted(parents, key=int):
        blame = {one for one in parents[name] if one in failed}
        blame = blame.union(*(blocked.get(one, ()) for one in parents[name]))
        if blame:
            blocked[name] = frozenset(blame)
        elif "fails" in ways[name]:
            failed.add(name)
        else:
            made = f"{name}({','.join(done[one] for one in sorted(parents[name]))})"
            done[name] = made + ("!" if ways[name] == "comes out otherwise" else "")
    return done, failed, blocked


@given(
    st.dictionaries(
        st.integers(0, 9),
        st.tuples(
            st.sets(st.integers(0, 9)), st.sampled_from(WAYS), st.booleans(), st.integers(0, 2)
        ),
        max_size=10,
    ),
    st.integers(1, 4),
)
def test_what_becomes_of_names_is_the_same_as_one_by_one(drawn, workers):
    """Whatever is fast or slow: a name fails only if all that it needs counts."""
    ways = {f"{number}": way for number, (_, way, _, _) in drawn.items()}
    parents = {
        f"{number}": frozenset(f"{one}" for one in edges if one in drawn and one < number)
        for number, (edges, *_) in drawn.items()
    }
    counting = set()

    def work(name, results):
        _, way, ahead, slow = drawn[int(name)]
        assert set(results) == parents[name]
        time.sleep(slow / 1000)
        if way == "work fails":
            raise BuildError(name)
        made = f"{name}({','.join(results[one] for one in sorted(results))})"
        if way == "is there":
            return made

        def check():
            time.sleep(slow / 1000)
            if way == "check fails":
                raise BuildError(name)

        def finish():
            assert all(ways[one] == "is there" or one in counting for one in parents[name])
            if way == "finish fails":
                raise BuildError(name)
            counting.add(name)
            return made + ("!" if way == "comes out otherwise" else "")

        return Unfinished(result=made, check=check, finish=finish, ahead=ahead)

    outcome = run_ready(parents, work, workers=workers, stop=lambda: None)
    done, failed, blocked = one_by_one(parents, ways)
    assert outcome.done == done
    assert set(outcome.failed) == failed
    assert outcome.blocked == blocked
