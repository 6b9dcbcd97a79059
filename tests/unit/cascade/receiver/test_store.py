"""What was accepted is kept, is worked off once, and is given up in the end."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from aksci.cascade.receiver import event_store as module
from aksci.cascade.receiver.event_store import EventStore
from aksci.cascade.receiver.start_cascades import Worker
from aksci.cascade.receiver.webhook_events import Push
from aksci.core.errors import DiskFullError, Interrupted, ProcessError, RegistryError, UsageError

DIGEST = "sha256:" + "a" * 64


def push(number, digest=DIGEST):
    return Push(
        source="acr",
        id=str(number),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        host="h.example",
        repository="r",
        tag="t",
        digest=digest,
    )


def bases(batch):
    return [reference for reference, _ in batch.bases]


def test_several_pushes_become_one_cascade_after_a_while_of_quiet(store, clock):
    store.add(push(1), ["a"])
    clock.pass_by(10)
    store.add(push(2), ["b", "c"])
    store.add(push(3, "sha256:" + "b" * 64), ["a"])
    clock.pass_by(14)
    assert store.take(15) is None
    assert store.due_in(15) == 1
    clock.pass_by(1)
    batch = store.take(15)
    assert bases(batch) == ["a", "b", "c"]
    assert dict(batch.bases)["a"] == "sha256:" + "b" * 64, "the digest that was pushed last"
    assert store.take(0) is None
    assert store.due_in(15) is None


def test_however_many_pushes_come_a_cascade_starts_in_the_end(store, clock):
    for number in range(20):
        store.add(push(number), ["a"])
        clock.pass_by(10)
    assert bases(store.take(15)) == ["a"]


def test_an_event_is_stored_once_for_as_long_as_it_would_be_accepted(store, clock):
    assert store.add(push(1), ["a"])
    clock.pass_by(600)
    assert not store.add(push(1), ["a"])
    clock.pass_by(1)
    assert store.add(push(1), ["a"])


def test_the_same_id_from_another_kind_of_registry_is_another_event(store):
    assert store.add(push(1), ["a"])
    other = Push(**{**push(1).__dict__, "source": "distribution"})
    assert store.add(other, ["a"])


def test_what_failed_waits_longer_each_time_and_is_given_up(store, clock):
    store.add(push(1), ["a"])
    keys, waits = [], []
    for given_up in ([], [], ["a"]):
        batch = store.take(0)
        keys.append(batch.key)
        assert list(store.failed(batch, "no")) == given_up
        waits.append(store.due_in(0))
        clock.pass_by(waits[-1] or 0)
    assert waits == [30, 60, None]
    assert len(set(keys)) == 1
    assert store.take(0) is None
    assert store.status()["queue"] == {"waiting": 0, "running": 0, "done": 0, "failed": 1}
    last = store.status()["last"]
    assert last == {
        "state": "failed",
        "ended": "2026-05-01T12:01:30Z",
        "base": "a",
        "problem": "no",
    }


def test_a_new_push_does_not_wait_for_one_that_failed_before(store, clock):
    store.add(push(1), ["a"])
    store.failed(store.take(0), "no")
    store.add(push(2), ["b"])
    assert bases(store.take(0)) == ["b"]
    clock.pass_by(30)
    assert bases(store.take(0)) == ["a"]


def test_a_push_during_its_own_cascade_starts_another(store):
    store.add(push(1), ["a"])
    batch = store.take(0)
    store.add(push(2), ["a"])
    store.done(batch)
    assert bases(store.take(0)) == ["a"]


def test_one_cascade_has_a_hundred_bases_at_most_and_the_next_has_the_others(store):
    for number in range(130):
        store.add(push(number), [f"b{number:03}"])
    first, second = store.take(0), store.take(0)
    assert (len(first.bases), len(second.bases)) == (100, 30)
    assert first.key != second.key


def test_what_a_clock_that_was_set_back_puts_far_ahead_waits_no_longer(store, clock):
    store.add(push(1), ["a"])
    clock.pass_by(-86_400)
    assert store.due_in(15) == 0
    store.failed(store.take(15), "no")
    clock.pass_by(-86_400)
    assert bases(store.take(15)) == ["a"]


def reopened(store, tmp_path, clock):
    store.close()
    return EventStore(tmp_path / "q.sqlite", now=clock, attempts=3, remember=600)


def test_what_a_crash_interrupted_waits_again_with_the_same_key(store, tmp_path, clock):
    store.add(push(1), ["a"])
    store.add(push(2), ["b"])
    key = store.take(0).key
    store = reopened(store, tmp_path, clock)
    assert not store.add(push(1), ["a"])
    batch = store.take(900)
    assert (bases(batch), batch.key) == (["a", "b"], key)
    store.done(batch)
    store = reopened(store, tmp_path, clock)
    assert store.take(0) is None
    store.close()


def test_what_ends_the_receiver_each_time_is_given_up(store, tmp_path, clock):
    store.add(push(1), ["a"])
    for _ in range(4):
        assert store.take(0)
        store = reopened(store, tmp_path, clock)
    assert store.take(0) is None
    assert store.status()["queue"]["failed"] == 1
    store.close()


def test_what_has_ended_is_forgotten_after_a_month(store, clock):
    store.add(push(1), ["a"])
    store.done(store.take(0))
    clock.pass_by(31 * 86_400)
    store.add(push(2), ["b"])
    assert store.status()["queue"] == {"waiting": 1, "running": 0, "done": 0, "failed": 0}


def test_two_receivers_never_share_a_queue(store, tmp_path, clock):
    with pytest.raises(UsageError, match="in use: another receiver"):
        EventStore(tmp_path / "q.sqlite", now=clock, attempts=3, remember=600)


@pytest.mark.parametrize("how", ["no database", "torn", "another's", "a folder", "no folder"])
def test_a_queue_that_cant_be_used_is_told_at_the_start(store, tmp_path, clock, how):
    path = tmp_path / "q.sqlite"
    for number in range(200):
        store.add(push(number), ["a" * 100])
    store.close()
    if how == "no database":
        path.write_bytes(b"not a database at all, and long enough to be sure of it" * 100)
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 8192)
    elif how == "another's":
        path.unlink()
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE t (x)')"
        subprocess.run([sys.executable, "-c", code, path], check=True)
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path = tmp_path / "missing" / "q.sqlite"
    with pytest.raises(UsageError) as caught:
        EventStore(path, now=clock, attempts=3, remember=600)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_full_disk_is_told_and_what_is_stored_stays(store, clock):
    store.add(push(1), ["a"])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [str(number) + "x" * 200 for number in range(500)]
    with pytest.raises(DiskFullError, match="No space is left"):
        store.add(push(2), many)
    assert store.status()["queue"]["waiting"] == 1
    assert bases(store.take(0)) == ["a"]


def test_what_add_has_returned_for_survives_a_kill_and_is_told_to_be_synced(tmp_path):
    code = """
import sys, datetime, pathlib
from aksci.cascade.receiver import event_store as module
from aksci.cascade.receiver.event_store import EventStore
from aksci.cascade.receiver.webhook_events import Push
now = lambda: datetime.datetime.now(datetime.UTC)
store = EventStore(pathlib.Path(sys.argv[1]), now=now, attempts=1, remember=1)
assert store._connection.execute("PRAGMA synchronous").fetchone() == (3,)
assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
push = Push(source="acr", id="1", at=now(), host="h", repository="r", tag="t", digest="d")
store.add(push, ["a"])
import os
os.kill(os.getpid(), 9)
"""
    path = tmp_path / "q.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == -9, ended.stderr
    now = lambda: datetime.now(UTC)  # noqa: E731
    again = EventStore(path, now=now, attempts=1, remember=1)
    assert bases(again.take(0)) == ["a"]
    again.close()


class Starter:
    """A way to start that does as it is told."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.batches = []

    def start(self, batch):
        self.batches.append(batch)
        outcome = self.outcomes.pop(0)
        if outcome:
            raise outcome


def worker(store, log, *outcomes):
    return Worker(store=store, start=Starter(*outcomes), settle=0, reporter=log)


def test_a_cascade_that_fails_is_tried_again_and_told(store, clock, log):
    store.add(push(1), ["a"])
    tried = worker(store, log, RegistryError("down\nfor now", hint="look there."), None)
    assert tried.work_once()
    assert not tried.work_once()
    clock.pass_by(30)
    assert tried.work_once()
    assert "The cascade failed. down" in log.text
    assert "look there." in log.text
    assert store.status()["queue"]["done"] == 1


@pytest.mark.parametrize("how", [KeyboardInterrupt(), Interrupted("stopped")])
def test_a_cascade_that_is_told_to_end_waits_as_if_it_had_not_begun(store, log, how):
    store.add(push(1), ["a"])
    for _ in range(9):
        with pytest.raises(type(how)):
            worker(store, log, how).work_once()
    assert store.status()["queue"] == {"waiting": 1, "running": 0, "done": 0, "failed": 0}
    assert worker(store, log, None).work_once()


@pytest.mark.parametrize("status", [2, 3, 7, 8, 12, 17])
def test_what_would_end_so_again_is_given_up_at_once(store, log, status):
    """A rollout that was taken back must not be tried five times in a row."""
    store.add(push(1), ["a"])
    assert worker(store, log, ProcessError("it failed", status=status)).work_once()
    assert store.status()["queue"]["failed"] == 1
    store.add(push(2), ["b"])
    assert worker(store, log, ProcessError("it failed", status=6)).work_once()
    assert store.status()["queue"]["waiting"] == 1


def test_what_is_given_up_is_told_by_name(store, clock, log):
    store.add(push(1), ["docker.io/library/debian:12"])
    tried = worker(store, log, *[RegistryError("down")] * 3)
    for _ in range(3):
        assert tried.work_once()
        clock.pass_by(3600)
    assert "Given up: docker.io/library/debian:12." in log.text


def test_many_pushes_of_one_base_take_no_more_room_than_two(store, clock):
    for number in range(50):
        store.add(push(number, f"sha256:{number:064}"), ["a", "b"])
        clock.pass_by(1)
    assert store.status()["queue"]["waiting"] == 4
    assert store.take(10) is None, "quiet is counted from the last one"
    batch = store.take(0)
    assert dict(batch.bases) == dict.fromkeys(["a", "b"], f"sha256:{49:064}")


def test_what_waits_has_a_limit_and_what_is_beyond_comes_again(store, monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 10)
    assert all(store.add(push(number), [f"b{number}"]) for number in range(10))
    with pytest.raises(UsageError, match="10 pushes wait"):
        store.add(push(10), ["b10"])
    store.check()
    store.done(store.take(0))
    assert store.add(push(10), ["b10"]), "it was not taken for known when it was refused"


def test_events_that_are_known_have_a_limit_and_none_is_forgotten_for_another(
    store, clock, monkeypatch
):
    monkeypatch.setattr(module, "_MOST_SEEN", 10)
    assert all(store.add(push(number), ["a"]) for number in range(10))
    with pytest.raises(UsageError, match="10 events"):
        store.add(push(10), ["a"])
    assert not store.add(push(0), ["a"]), "it could be replayed"
    clock.pass_by(601)
    assert store.add(push(10), ["a"])


def test_what_has_ended_has_a_limit(store, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ENDED", 10)
    for number in range(30):
        store.add(push(number), ["a"])
        store.done(store.take(0))
    assert store.status()["queue"]["done"] <= 11
