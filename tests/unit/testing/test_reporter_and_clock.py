"""What a reporter was told and what a clock was asked for can be looked at afterwards."""

from __future__ import annotations

from datetime import timedelta

from aksci.testing.clock import Clock
from aksci.testing.reporter import RecordingReporter


def test_what_is_told_is_remembered_by_kind_and_in_order():
    reporter = RecordingReporter()
    with reporter.group("build"):
        reporter.line("one")
    reporter.warning("two")
    reporter.error("three")
    task = reporter.task("web")
    task.step("pulling")
    task.line("1/2")
    task.warning("odd")
    task.done("built")
    reporter.mask("secret")
    reporter.output("digest", "d")
    reporter.summary("# Done")
    assert reporter.lines == ["build", "one", "web: pulling", "web: 1/2", "web: built"]
    assert (reporter.warnings, reporter.errors) == (["two", "web: odd"], ["three"])
    assert reporter.text.splitlines() == [
        "build", "one", "two", "three", "web: pulling", "web: 1/2", "web: odd", "web: built",
    ]  # fmt: skip
    assert (reporter.masked, reporter.outputs) == (["secret"], {"digest": "d"})
    assert reporter.summaries == ["# Done"]


def test_time_goes_by_only_when_it_is_told_to():
    clock = Clock()
    begun = clock()
    assert clock() == begun
    clock.pass_by(60)
    clock.sleep(0.5)
    assert clock() - begun == timedelta(seconds=60.5)
    assert clock.slept == [0.5]
