"""A second process reads contexts: the hashes are the same, whatever happens to it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from aksci.core.errors import ConfigError
from aksci.images.context import hasher as module
from aksci.images.context.hasher import TreeHasher

COUNT = 12


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ALONE", 0.0)
    (tmp_path / ".aksci").mkdir()
    for number in range(COUNT):
        folder = tmp_path / f"c{number}"
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        (folder / "file").write_text(f"{number}")
        os.utime(folder / "file", (1, 1))
    return tmp_path


def wanted():
    return [(f"c{number}", f"c{number}/Dockerfile", None) for number in range(COUNT)]


def hashes(hasher):
    return [hasher.hash(*one) for one in wanted()]


def test_a_helper_finds_the_same_hashes_and_really_helps(root, monkeypatch):
    alone = hashes(TreeHasher(root))
    hasher = TreeHasher(root)
    read = []  # by this process
    find = hasher._find
    monkeypatch.setattr(hasher, "_find", lambda *key: read.append(key[0]) or find(*key))
    hasher.prepare(wanted())
    assert hashes(hasher) == alone
    assert 0 < len(read) < COUNT
    hasher.save()


def test_what_a_helper_read_is_remembered_for_the_next_run(root, monkeypatch):
    known = root / "user/files"
    hasher = TreeHasher(root, known)
    # What changed just now is never remembered: let the clock of the folder be ahead.
    monkeypatch.setattr(hasher._facts, "_now", 1 << 62)
    hasher.prepare(wanted())
    hashes(hasher)
    hasher.save()
    again = TreeHasher(root, known)
    assert len(again._facts._old) == COUNT


def test_a_helper_that_dies_costs_nothing_but_its_help(root):
    alone = hashes(TreeHasher(root))
    hasher = TreeHasher(root)
    hasher.prepare(wanted())
    os.kill(hasher._helper._child, signal.SIGKILL)
    assert hashes(hasher) == alone
    hasher.save()


def test_an_end_before_all_was_asked_for_leaves_no_process(root):
    hasher = TreeHasher(root)
    hasher.prepare(wanted())
    child = hasher._helper._child
    hasher.hash(*wanted()[0])
    hasher.save()
    hasher.save()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_context_that_cannot_be_read_is_told_to_who_asks_for_it(root):
    (root / "c5/.aksci").mkdir()
    hasher = TreeHasher(root)
    hasher.prepare(wanted())
    with pytest.raises(ConfigError, match=r"would hold \.aksci"):
        hashes(hasher)
    hasher.save()


def test_beside_other_threads_nothing_is_forked(root):
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    try:
        hasher = TreeHasher(root)
        hasher.prepare(wanted())
        assert hasher._helper is None
    finally:
        gate.set()
        thread.join()
