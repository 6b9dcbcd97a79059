"""A container's folder is held while its process lives, and no longer."""

from __future__ import annotations

import signal
import subprocess
import sys

from aksci.local.container_folder import abandoned_folders, hold_folder

HOLD = (
    "import sys, time\nfrom pathlib import Path\n"
    "from aksci.local.container_folder import hold_folder\n"
    "with hold_folder(Path(sys.argv[1])) as folder:\n"
    "    print(folder, flush=True)\n    time.sleep(300)\n"
)


def left(parent):
    with abandoned_folders(parent) as found:
        return [folder.name for folder in found]


def test_what_is_held_is_not_abandoned_though_by_this_very_process(tmp_path):
    with hold_folder(tmp_path / "c") as one, hold_folder(tmp_path / "c") as other:
        assert one != other
        assert left(tmp_path / "c") == []
    # Who holds it removes it; it was not.
    assert left(tmp_path / "c") == sorted([one.name, other.name])


def test_a_killed_process_holds_nothing(tmp_path):
    argv = [sys.executable, "-c", HOLD, str(tmp_path / "c")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        name = process.stdout.readline().strip().rpartition("/")[2]
        assert left(tmp_path / "c") == []
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert left(tmp_path / "c") == [name]


def test_a_folder_that_was_made_and_not_yet_held_is_abandoned(tmp_path):
    """Its process was killed in between: nobody else can be there."""
    (tmp_path / "c/aksci-1-0").mkdir(parents=True)
    (tmp_path / "c/something-else").mkdir()
    assert left(tmp_path / "c") == ["aksci-1-0"]


def test_two_that_clean_up_at_once_do_not_meet(tmp_path):
    (tmp_path / "c/aksci-1-0").mkdir(parents=True)
    with abandoned_folders(tmp_path / "c") as mine:
        assert len(mine) == 1
        assert left(tmp_path / "c") == []


def test_where_no_container_has_run_there_is_nothing(tmp_path):
    assert left(tmp_path / "c") == []
