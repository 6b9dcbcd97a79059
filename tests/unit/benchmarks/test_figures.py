"""Medians, spreads, goals and the report: right figures, whatever was measured."""

from __future__ import annotations

import sys

import pytest

from benchmarks.cases import Case
from benchmarks.figures import Goal, ratio, summarise
from benchmarks.measure import Contender, FailedError, Sample, compare, measure
from benchmarks.report import Result, document, markdown


def figures(*seconds, memory=1.0):
    return summarise(seconds, cpu=seconds, memory=[memory] * len(seconds))


def python(name, code, folder, **options):
    return Contender(name=name, argv=(sys.executable, "-c", code), folder=folder, **options)


def test_a_summary_is_median_and_spread_and_the_highest_memory():
    found = summarise([3.0, 1.0, 2.0, 9.0], cpu=[1.0, 3.0, 2.0, 2.0], memory=[5.0, 7.0, 6.0, 1.0])
    assert (found.median, found.low, found.high) == (2.5, 1.0, 9.0)
    assert (found.cpu, found.memory, found.runs) == (2.0, 7.0, 4)


def test_no_runs_have_no_figures():
    with pytest.raises(ValueError, match="nothing"):
        figures()


def test_a_ratio_below_one_means_that_we_were_faster():
    assert ratio(figures(1.0), figures(4.0)) == 0.25


def test_a_goal_is_reached_up_to_its_very_limit():
    goal = Goal(ours="us", peer="them", times=2, plus=0.5)
    assert goal.reached(figures(2.5), figures(1.0))
    assert not goal.reached(figures(2.6), figures(1.0))
    assert goal.text() == "us <= 2x them + 0.5 s"


def test_contenders_take_turns_and_who_begins_changes(tmp_path):
    order = []

    def run(contender):
        order.append(contender.name)
        return Sample(seconds=1.0, cpu=1.0, memory=1.0)

    two = [python(name, "", tmp_path) for name in "ab"]
    found = compare(two, runs=2, warm=1, run=run)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert {name: one.runs for name, one in found.items()} == {"a": 2, "b": 2}


def test_what_takes_long_takes_part_in_some_rounds_only(tmp_path):
    two = [python("quick", "", tmp_path), python("slow", "", tmp_path, every=3)]
    found = compare(two, runs=7, warm=1, run=lambda _: Sample(seconds=1.0, cpu=1.0, memory=1.0))
    assert {name: one.runs for name, one in found.items()} == {"quick": 7, "slow": 3}


def test_one_that_fails_has_no_figures_and_the_others_go_on(tmp_path):
    told = []
    two = [python("bad", "print('why'); exit(7)", tmp_path), python("good", "", tmp_path)]
    found = compare(two, runs=1, warm=0, tell=told.append)
    assert list(found) == ["good"]
    assert told[0] == "bad ended with status 7:\nwhy\n"


def test_parts_that_runs_tell_of_have_figures_of_their_own(tmp_path):
    told = iter([9.0, 1.0, 3.0])
    one = python("whole", "", tmp_path, after=lambda: {"part": next(told)})
    found = compare([one], runs=2, warm=1)
    assert (found["part"].median, found["part"].low, found["part"].runs) == (2.0, 1.0, 2)
    case = Case(name="", about="", contenders=(one,), goals=(), runs=2)
    result = Result(case=case, figures=found)
    assert result.failed == []
    row = markdown([result], {}).partition("| part ")[2].splitlines()[0]
    assert [cell.strip() for cell in row.split("|")[5:7]] == ["", ""]  # it has no processor time


def test_a_run_that_did_not_do_what_it_is_measured_for_has_failed(tmp_path):
    def look():
        raise FailedError("nothing was done")

    told = []
    one = python("lazy", "", tmp_path, after=look)
    assert compare([one], runs=1, tell=told.append) == {}
    assert told == ["nothing was done"]


def test_a_run_tells_its_time_and_the_memory_of_its_largest_process(tmp_path):
    """The child of a child counts, too, and what comes before does not."""
    big = "b'x' * 4 * 10**8"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {big!r}])"
    sample = measure(python("hungry", code, tmp_path, before=lambda: bytes(10**9)))
    assert 400 < sample.memory < 800
    assert sample.cpu > 0
    assert 0 < sample.seconds < 60


def test_a_failed_run_is_an_error(tmp_path):
    with pytest.raises(FailedError, match="status 1"):
        measure(python("bad", "raise SystemExit(1)", tmp_path))


def test_the_report_tells_goals_that_were_reached_missed_and_not_measured(tmp_path):
    case = Case(
        name="race",
        about="two of three",
        contenders=tuple(python(name, "", tmp_path) for name in ("us", "them", "lost")),
        goals=(
            Goal(ours="us", peer="them", times=2),
            Goal(ours="us", peer="them", times=0.5),
            Goal(ours="us", peer="lost"),
        ),
        runs=1,
        memory={"us": 10.0, "them": 1.0},
    )
    result = Result(case=case, figures={"us": figures(1.0), "them": figures(1.0)})
    data = document([result], {"cores": "2"})
    assert [one["reached"] for one in data["cases"][0]["goals"]] == [True, False, None, True, False]
    assert data["cases"][0]["failed"] == ["lost"]
    text = markdown([result], {"cores": "2"})
    assert "- reached: us <= 2x them (ratio 1.000)" in text
    assert "- MISSED: us <= 0.5x them (ratio 1.000)" in text
    assert "- not measured: us <= lost" in text
    assert [line.count("|") for line in text.splitlines() if "|" in line] == [9] * 5
