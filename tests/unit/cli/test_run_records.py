"""Run records: each session of each job leaves one, and the newest ones stay."""

from __future__ import annotations

import json
import os
import threading

from aksci.cli.edge import write_run_record
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder


def write(work, *, run="github-1-1", session="build", **details):
    return write_run_record(
        WorkFolder(work, tracked=Tracked),
        run_id=run,
        session=session,
        seconds=1.0,
        outcome="ok",
        details=details,
    )


def test_jobs_of_one_run_overwrite_no_record_of_each_other(tmp_path):
    """One CI run may deploy to two environments at once, or build again what failed."""
    threads = [threading.Thread(target=write, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(path.name for path in (tmp_path / "runs").iterdir())
    again = [f"github-1-1.{number}-build.json" for number in range(2, 9)]
    assert found == sorted(["github-1-1-build.json", *again])
    assert {json.loads(path.read_text())["run"] for path in (tmp_path / "runs").iterdir()} == {
        "github-1-1"
    }


def test_of_too_many_records_the_oldest_go_whatever_they_are_called(tmp_path):
    for number in range(1, 205):
        os.utime(write(tmp_path, run=f"github-{number}"), (number, number))
    last = write(tmp_path, run="github-1000")  # by its name it is one of the first
    left = sorted((tmp_path / "runs").iterdir())
    assert len(left) == 200
    assert last in left
    assert not (tmp_path / "runs/github-5-build.json").exists()
    assert (tmp_path / "runs/github-6-build.json").exists()
