"""Control groups of both versions, and the mounts below a folder."""

from __future__ import annotations

from pathlib import Path

from aksci.local.layout import Layout
from aksci.local.teardown import make_cgroups, mounts_below


def test_with_version_2_one_group_is_made_and_its_controllers_passed_on(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
    control = tmp_path / "cgroup.subtree_control"
    layout = Layout(Path("/s"))
    make_cgroups(layout, tmp_path)
    assert (tmp_path / layout.cgroup.lstrip("/")).is_dir()
    assert control.read_text() == "+pids"  # the last of those that are written one by one


def test_with_version_1_a_group_is_made_in_every_hierarchy(tmp_path):
    for name in ("cpu,cpuacct", "memory"):
        (tmp_path / name).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    layout = Layout(Path("/s"))
    make_cgroups(layout, tmp_path)
    assert sorted(path.parent.name for path in tmp_path.glob("*/aksci-*")) == [
        "cpu",
        "cpu,cpuacct",
        "memory",
    ]


def test_two_state_folders_have_two_groups():
    assert Layout(Path("/a")).cgroup != Layout(Path("/b")).cgroup


def test_mounts_are_found_deepest_first():
    found = mounts_below(Path("/"))
    assert Path("/proc") in found
    depths = [len(point.parts) for point in found]
    assert depths == sorted(depths, reverse=True)
    assert mounts_below(Path("/nowhere")) == []
