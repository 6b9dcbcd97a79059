"""A property that many threads read first at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.once import once


class Box:
    def __init__(self):
        self.made = []

    @once
    def slow(self):
        """What takes a while."""
        self.made.append(threading.get_ident())
        time.sleep(0.05)
        return object()

    @once
    def fails_first(self):
        self.made.append("try")
        if len(self.made) == 1:
            raise ValueError
        return "made"


def test_however_many_threads_ask_at_once_it_is_computed_once():
    box, start = Box(), threading.Barrier(16)

    def read(_):
        start.wait()
        return box.slow

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(read, range(16)))
    assert (len(found), len(box.made)) == (1, 1)


def test_each_object_has_its_own():
    assert Box().slow is not Box().slow


def test_two_properties_of_one_object_do_not_wait_for_each_other():
    box, begun, go_on = Box(), threading.Event(), threading.Event()

    class Both(Box):
        @once
        def waits(self):
            begun.set()
            return go_on.wait(10)

    box = Both()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: box.waits)
        begun.wait(10)
        assert box.slow
        go_on.set()
        assert waiting.result()


def test_what_failed_is_computed_again():
    box = Box()
    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        _ = box.fails_first
    assert box.fails_first == "made"


def test_its_docstring_is_the_functions():
    assert Box.slow.__doc__ == "What takes a while."
