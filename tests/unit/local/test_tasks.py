"""Tasks run as early as they can, and stop soon."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from aksci.local.start_order import StartTask, run_tasks


def _run(tasks, on_interrupt=lambda: None):
    return run_tasks(tasks, stopping=threading.Event(), on_interrupt=on_interrupt)


def test_a_task_gets_the_results_of_what_it_needs():
    tasks = {
        "a": StartTask(action=lambda _: 1),
        "b": StartTask(action=lambda _: 2),
        "c": StartTask(action=dict, needs=("a", "b")),
    }
    assert _run(tasks)["c"] == {"a": 1, "b": 2}


def test_independent_tasks_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=5)
    _run({name: StartTask(action=lambda _: meeting.wait()) for name in "abc"})


def test_the_first_failure_is_raised_and_nothing_that_needs_it_runs():
    ran = []

    def fail(_):
        raise ValueError("cause")

    tasks = {
        "a": StartTask(action=fail),
        "b": StartTask(action=lambda _: ran.append("b"), needs=("a",)),
        "c": StartTask(action=lambda _: ran.append("c"), needs=("b",)),
    }
    with pytest.raises(ValueError, match="cause"):
        _run(tasks)
    assert ran == []


def test_ctrl_c_ends_what_waits_and_what_runs():
    stopping, ended = threading.Event(), threading.Event()

    def interrupt(_):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    tasks = {
        "waits": StartTask(action=lambda _: stopping.wait(30)),
        "runs a program": StartTask(action=lambda _: ended.wait(30)),
        "ctrl-c": StartTask(action=interrupt),
    }
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, stopping=stopping, on_interrupt=ended.set)
    assert time.monotonic() - began < 10
