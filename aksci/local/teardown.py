"""Taking away what ran: pods, mounts, network namespaces, control groups."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.local.daemon import descendants, find_marked, identify, name_of, stop
from aksci.local.node import CNI_NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.local.layout import Layout

__all__ = [
    "clear_run_folder",
    "end_group",
    "remove_cgroups",
    "stop_containers",
    "unmount_all",
    "unmount_below",
]

_CGROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = frozenset({"cpu", "cpuset", "hugetlb", "memory", "pids"})  # that kubelet asks for
_ESCAPE = re.compile(r"\\([0-7]{3})")  # how /proc/self/mountinfo writes white space, proc(5)
_CNI_RESULTS = Path("/var/lib/cni/results")
_SHIM_SOCKETS = Path("/run/containerd/s")
_KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
_LEGACY_LOGS = Path("/var/log/containers")
_PATIENCE = 5.0  # seconds for the kernel to let go of a control group
_POD_GRACE = 3.0  # seconds between SIGTERM and SIGKILL


def stop_containers(layout: Layout) -> None:
    """End all pods and builds, and their shims, once kubelet and buildkitd are gone."""
    shims = [process for process in find_marked(layout.state) if _is_shim(process.pid)]
    inside = [process for pid in _members(layout.cgroup) if (process := identify(pid))]
    # What is in pods first: a shim that goes leaves them without anybody who reaps them.
    stop([*descendants(shims), *inside], grace=_POD_GRACE)
    stop(shims, grace=1.0)


def unmount_all(layout: Layout) -> None:
    """Unmount everything below the state folder."""
    unmount_below(layout.state)


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder; lazily, since a dead container may still hold it."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    detach, nofollow = 2, 8  # MNT_DETACH, UMOUNT_NOFOLLOW, umount2(2)
    for _ in range(8):  # mounts may be stacked
        points = mounts_below(folder)
        if not points:
            return
        for point in points:
            # The system call itself, for UMOUNT_NOFOLLOW: pods may have put links there.
            libc.umount2(os.fsencode(point), detach | nofollow)


def mounts_below(folder: Path) -> list[Path]:
    """Return the mount points below a folder, the deepest first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), line.split()[4]))
        if folder in point.parents:
            points.append(point)
    return sorted(points, key=lambda point: len(point.parts), reverse=True)


def end_group(group: str) -> None:
    """End all that runs in one control group of ours, at once, and remove it."""
    stop([process for pid in _members(group) if (process := identify(pid))], grace=0)
    _remove_group(group)


def remove_cgroups(layout: Layout) -> None:
    """Remove our control groups."""
    _remove_group(layout.cgroup)


def _remove_group(group: str) -> None:
    """Remove one in every hierarchy (one with version 2, several with version 1)."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        for root in _roots(group):
            # The innermost first: rmdir removes no group that has others in it.
            for folder, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        # The kernel lets go a moment after the last process has ended.
        if not any(_roots(group)) or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def make_cgroups(layout: Layout, root: Path = _CGROUPS) -> None:
    """Make the group that kubelet is told to work below; it does not make it itself."""
    controllers = root / "cgroup.controllers"
    unified = controllers.exists()
    if unified:
        # With version 2, a group has the controllers that its parent passes on; systemd passes on
        # only those that its units use, and kubelet refuses a group that lacks one.
        for name in sorted(_CONTROLLERS & set(controllers.read_text().split())):
            with contextlib.suppress(OSError):
                (root / "cgroup.subtree_control").write_text(f"+{name}")
    for hierarchy in [root] if unified else _hierarchies(root):
        with contextlib.suppress(OSError):
            (hierarchy / layout.cgroup.lstrip("/")).mkdir(exist_ok=True)


def clear_run_folder(layout: Layout) -> None:
    """Remove sockets, records, sandboxes and leases, as a restart of the machine would."""
    _forget_sandboxes(layout)
    shutil.rmtree(layout.run, ignore_errors=True)
    _KUBELET_SOCKET.unlink(missing_ok=True)
    if _LEGACY_LOGS.is_dir():
        for link in _LEGACY_LOGS.iterdir():
            # Another kubelet's links stay.
            if link.is_symlink() and link.readlink().is_relative_to(layout.pod_logs):
                link.unlink(missing_ok=True)


def clear_stale_sandboxes(layout: Layout) -> None:
    """Forget sandboxes of a former life, unless their shims still live and can be taken up again.

    containerd expects its state folder to be empty after a restart of the machine; ours is on disk.
    """
    if any(_is_shim(process.pid) for process in find_marked(layout.state, "containerd")):
        return
    unmount_all(layout)
    _forget_sandboxes(layout)
    for folder in ("containerd", "cni", "runc"):
        shutil.rmtree(layout.run / folder, ignore_errors=True)


def _forget_sandboxes(layout: Layout) -> None:
    """Remove what dead pods left outside the state folder: shims' sockets and CNI's notes."""
    bundles = layout.run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    for bundle in bundles.glob("*"):
        with contextlib.suppress(OSError):
            address = (bundle / "address").read_text().removeprefix("unix://")
            # The host's own containerd keeps its sockets there, too: only what our bundles name.
            if Path(address).parent == _SHIM_SOCKETS:
                Path(address).unlink()
    for note in _CNI_RESULTS.glob(f"{CNI_NETWORK}-*"):
        container = note.name.split("-")[1]
        for result in _CNI_RESULTS.glob(f"*-{container}-*"):
            result.unlink(missing_ok=True)


def _is_shim(pid: int) -> bool:
    return name_of(pid).startswith("containerd-shim")


def _hierarchies(root: Path = _CGROUPS) -> list[Path]:
    """Return version 1's hierarchies; links such as ``cpu -> cpu,cpuacct`` are left out."""
    return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]


def _roots(group: str) -> list[Path]:
    name = group.lstrip("/")
    return [path / name for path in (_CGROUPS, *_hierarchies()) if (path / name).is_dir()]


def _members(group: str) -> Iterator[int]:
    for root in _roots(group):
        for procs in root.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                # 0: a process of another PID namespace.
                yield from (int(pid) for pid in procs.read_text().split() if pid != "0")
