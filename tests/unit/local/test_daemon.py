"""Processes that outlive us: only those that are surely ours are ever stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from aksci.local import daemon

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def start(tmp_path):
    """Start a daemon that sleeps; whatever the test leaves is stopped."""

    def spawn(*argv, part="sleeper"):
        return daemon.spawn(
            argv or ("sleep", "600"),
            environment=ENVIRONMENT,
            state=tmp_path,
            part=part,
            log=tmp_path / f"{part}.log",
            record=tmp_path / f"{part}.json",
            fingerprint="f",
        )

    yield spawn
    daemon.stop(daemon.find_marked(tmp_path), grace=0)


def test_a_daemon_runs_in_its_own_session_and_shares_no_stream(start):
    process = start()
    assert os.getsid(process.pid) == process.pid
    fds = [str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
    assert fds[0] == "/dev/null"
    assert fds[1] == fds[2]
    assert fds[1].endswith("sleeper.log")
    assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")


def test_a_daemon_survives_the_process_that_started_it(tmp_path):
    script = (
        "import sys; from pathlib import Path; from aksci.local.daemon import spawn;"
        "p = Path(sys.argv[1]); spawn(['sleep', '600'], environment={'PATH': '/usr/bin:/bin'},"
        "state=p, part='s', log=p / 's.log', record=p / 's.json', fingerprint='')"
    )
    # Would the daemon hold our pipe, this would wait for it.
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True)
    process = daemon.read_record(tmp_path / "s.json")
    assert process is not None
    daemon.stop([process], grace=5)
    assert not process.alive()


def test_a_recycled_pid_is_not_taken_for_ours(tmp_path, start):
    innocent = start(part="innocent")
    for lie in ({"started": innocent.started - 1}, {"boot": "another boot"}):
        record = tmp_path / "recycled.json"
        record.write_text(json.dumps(asdict(replace(innocent, **lie))))
        assert daemon.read_record(record) is None
        daemon.stop([replace(innocent, **lie)], grace=0)
        assert innocent.alive()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1}', '{"pid": "x", "a": 1}'])
def test_a_half_written_record_is_nobody(tmp_path, content):
    record = tmp_path / "r.json"
    record.write_text(content)
    assert daemon.read_record(record) is None


def test_a_process_without_its_record_is_found_by_its_mark(tmp_path, start):
    process = start()
    start(part="other")
    (tmp_path / "sleeper.json").unlink()
    assert [found.pid for found in daemon.find_marked(tmp_path, "sleeper")] == [process.pid]
    assert daemon.part_of(process.pid) == "sleeper"
    assert daemon.find_marked(tmp_path / "elsewhere") == []


def test_a_dead_child_that_nobody_waited_for_is_not_alive(start):
    process = start("true")
    deadline = time.monotonic() + 5
    while process.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process.alive()


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path, start):
    process = start(
        "sh", "-c", f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done"
    )
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    began = time.monotonic()
    daemon.stop([process], grace=0.3)
    assert not process.alive()
    assert 0.3 <= time.monotonic() - began < 5


def test_a_large_log_is_set_aside_when_its_part_starts(tmp_path, start):
    log = tmp_path / "sleeper.log"
    with log.open("wb") as file:
        file.truncate(9 * 2**20)
    start("sh", "-c", "echo fresh")
    while log.read_text() != "fresh\n":
        time.sleep(0.01)
    assert (tmp_path / "sleeper.log.1").stat().st_size == 9 * 2**20


def test_all_descendants_are_found(start):
    process = start("sh", "-c", "sh -c 'sleep 600; :' & wait")
    deadline = time.monotonic() + 5
    names = []
    while sorted(names) != ["sh", "sleep"] and time.monotonic() < deadline:
        names = [daemon.name_of(found.pid) for found in daemon.descendants([process])]
    assert sorted(names) == ["sh", "sleep"]
