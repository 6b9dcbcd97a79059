"""Several things at once, and again after a failure."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from aksci.core.concurrency import backoff, gather, import_first, retry

RACE = """
import sys, threading, time
from itertools import groupby
from aksci.core.errors import UnreachableError
from aksci.oci.client import RegistryClient

entered = []  # (package, thread) for each module that a thread begins to import

class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        package = name.partition(".")[0]
        if package in {"azure", "certifi", "requests", "urllib3"}:
            entered.append((package, threading.get_ident()))
            time.sleep(0.002)  # others get their turn, as they do where files are read from a disk

failures = []
start = threading.Barrier(24)

def ask(number):
    client = RegistryClient("127.0.0.1:1", plain_http=True, sleep=lambda seconds: None)
    start.wait()
    time.sleep(number * 0.008)  # each finds the others' imports at another point
    try:
        client.resolve("shop/web", "1") if number % 2 else client.repositories()
    except UnreachableError:
        pass
    except BaseException as error:
        failures.append(repr(error))

sys.meta_path.insert(0, Slow)
threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for package in {package for package, _ in entered}:
    turns = [thread for thread, _ in groupby(each for name, each in entered if name == package)]
    if len(turns) != len(set(turns)):
        failures.append(f"{len(set(turns))} threads import {package} at the same time")
print(failures)
"""


def test_threads_that_make_the_first_request_at_once_import_one_after_the_other():
    shown = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_modules_are_imported_before_the_threads_start(tmp_path, monkeypatch):
    (tmp_path / "said_by_thread.py").write_text(
        "import threading\nname = threading.current_thread().name\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def name_of(_):
        import said_by_thread

        return said_by_thread.name

    here = threading.current_thread().name
    assert gather(name_of, range(4), limit=2, name="w", imports=["said_by_thread"]) == [here] * 4


def test_threads_that_enter_a_circle_of_modules_at_two_places_do_so_in_turn(tmp_path, monkeypatch):
    package = tmp_path / "in_a_circle"
    package.mkdir()
    (package / "__init__.py").write_text("import in_a_circle.one\n")
    (package / "one.py").write_text(
        "import time\ntime.sleep(0.2)\nONE = 1\nfrom in_a_circle.other import OTHER\n"
    )
    (package / "other.py").write_text("from in_a_circle.one import ONE\nOTHER = 2\n")
    monkeypatch.syspath_prepend(tmp_path)

    def enter(place):
        time.sleep(0.1 if place == "other" else 0)
        import_first(f"in_a_circle.{place}")

    gather(enter, ["one", "other"], limit=2, name="w")


def test_results_are_in_the_order_of_the_items():
    def work(number):
        time.sleep(0.02 * (3 - number))
        return number * 10

    assert gather(work, [0, 1, 2, 3], limit=4, name="w") == [0, 10, 20, 30]


def test_never_more_at_once_than_the_limit_in_threads_of_that_name():
    at_once, most, names = 0, 0, set()
    lock = threading.Lock()

    def work(_):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            names.add(threading.current_thread().name.rpartition("_")[0])
        time.sleep(0.01)
        with lock:
            at_once -= 1

    gather(work, range(12), limit=3, name="scan")
    assert (most, names) == (3, {"scan"})


def test_nothing_begins_after_the_first_failure_and_what_runs_is_waited_for():
    begun, ended = [], []

    def work(number):
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        time.sleep(0.2)
        ended.append(number)

    with pytest.raises(ValueError, match="one"):
        gather(work, range(50), limit=2, name="w")
    assert len(begun) < 5
    assert sorted(begun) == sorted([*ended, 1])


def test_of_several_failures_the_one_of_the_earliest_item_is_raised():
    together = threading.Barrier(2)

    def work(number):
        together.wait()
        time.sleep(0.05 * (1 - number))
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"):
        gather(work, [0, 1], limit=2, name="w")


def test_ctrl_c_does_not_wait_for_the_threads():
    code = (
        "import os, signal, threading\n"
        "from aksci.core.concurrency import gather\n"
        "end = threading.Event()\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    gather(lambda _: end.wait(30), range(8), limit=2, name='w')\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped')\n"
        "end.set()\n"
    )
    started = time.monotonic()
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "stopped\n"
    assert time.monotonic() - started < 10


def test_ctrl_c_while_work_is_still_handed_out_lets_nothing_more_begin():
    code = (
        "import os, signal, threading, time\n"
        "from aksci.core.concurrency import gather\n"
        "begun = []\n"
        "def work(number):\n"
        "    begun.append(number)\n"
        "    if number == 50:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.1 * (number >= 50))\n"
        "try:\n"
        "    gather(work, range(100_000), limit=2, name='w')\n"
        "except KeyboardInterrupt:\n"
        "    then = len(begun)\n"
        "    time.sleep(0.5)\n"
        "    print(then >= 50, len(begun) - then, flush=True)\n"
        "    os._exit(0)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "True 0\n"


class PassingError(Exception):
    """What may have passed by the next attempt."""

    def __init__(self, retry_after=None):
        super().__init__("busy")
        self.retry_after = retry_after


def failing(*errors):
    """Return work that fails with these errors, and succeeds after them."""
    left = list(errors)

    def work():
        if left:
            raise left.pop(0)
        return "done"

    return work


def passing(error):
    return isinstance(error, PassingError)


def test_a_failure_that_may_pass_is_tried_again_after_growing_waits():
    slept = []
    work = failing(PassingError(), PassingError(), PassingError())
    waits = backoff(0.5, attempts=4)
    assert retry(work, again=passing, waits=waits, sleep=slept.append) == "done"
    assert slept == [0.5, 1.0, 2.0]


def test_the_last_attempt_s_failure_is_raised():
    slept = []
    errors = [PassingError(), PassingError(), PassingError()]
    with pytest.raises(PassingError) as caught:
        retry(failing(*errors), again=passing, waits=backoff(1, attempts=3), sleep=slept.append)
    assert caught.value is errors[2]
    assert slept == [1, 2]


def test_another_failure_is_not_tried_again():
    with pytest.raises(ValueError, match="for good"):
        retry(failing(ValueError("for good")), again=passing, waits=[0, 0], sleep=pytest.fail)


def test_a_server_that_asks_for_a_wait_gets_it_and_one_that_asks_for_too_much_is_given_up():
    slept = []
    work = failing(PassingError(retry_after=7.0))
    assert retry(work, again=passing, waits=[1, 1], sleep=slept.append) == "done"
    assert slept == [7.0]
    with pytest.raises(PassingError):
        retry(failing(PassingError(retry_after=61.0)), again=passing, waits=[1], sleep=pytest.fail)
