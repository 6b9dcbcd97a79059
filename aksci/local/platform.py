"""The embedded local platform: ``up``, ``down``, ``status``, ``endpoints``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import PlatformError
from aksci.local.api_server import Api, node_ready
from aksci.local.build_parts import buildkitd_part, registry_part
from aksci.local.control_plane import ControlPlane, control_parts
from aksci.local.daemon import find_marked, part_of, read_record, started_at, stop
from aksci.local.dns import dns_answers
from aksci.local.host import Host, require_root
from aksci.local.host_network import network_is_ours, remove_network
from aksci.local.layout import Layout, Network, PlatformEndpoints, Ports
from aksci.local.node import containerd_part, kubelet_part, proxy_part
from aksci.local.notary import NOTARY, notary_part
from aksci.local.pki import is_complete
from aksci.local.seed_images import Seed
from aksci.local.start_order import run_tasks
from aksci.local.startup import Startup
from aksci.local.teardown import (
    clear_run_folder,
    mounts_below,
    remove_cgroups,
    stop_containers,
    unmount_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.local.part import Part
    from aksci.local.startup import Tools

__all__ = [
    "ALL_PARTS",
    "BUILD_PARTS",
    "CONTAINER_PARTS",
    "NETWORK_PARTS",
    "TRUST_PARTS",
    "PartStatus",
    "PlatformStatus",
    "down",
    "status",
    "up",
]

BUILD_PARTS = frozenset({"registry", "buildkitd"})
"""What building images needs."""
CONTAINER_PARTS = frozenset({"containerd"})
"""What running images without Kubernetes needs."""
NETWORK_PARTS = CONTAINER_PARTS | {"network"}
"""What running them in a network needs, where they can be asked, and can ask others."""
ALL_PARTS = BUILD_PARTS | NETWORK_PARTS | {"kubernetes"}
TRUST_PARTS = frozenset({"notary"})
"""What Docker Content Trust needs besides; no part of the platform unless it is asked for."""
_MINIMUM_FREE = 3 * 2**30  # bytes
# kubelet first, or it would start again what ends; etcd and the registry last, since the others
# talk to them.
_STOP_ORDER = (
    ("kubelet", "buildkitd"),
    ("scheduler", "controller-manager", "proxy"),
    ("apiserver",),
)


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """How one part is."""

    name: str
    running: bool
    healthy: bool
    pid: int | None
    log: Path | None
    address: str


@dataclass(frozen=True, kw_only=True)
class PlatformStatus:
    """How the platform is."""

    parts: tuple[PartStatus, ...]
    endpoints: PlatformEndpoints | None
    """None before the first ``up``."""

    @property
    def healthy(self) -> bool:
        """Whether every part is well."""
        return bool(self.parts) and all(part.healthy for part in self.parts)

    @property
    def has_cluster(self) -> bool:
        """Whether Kubernetes has ever been started; building and running images needs none."""
        return any(part.name == "apiserver" for part in self.parts)


def up(
    *,
    state: Path,
    toolbox: Tools,
    runner: Runner,
    reporter: Reporter,
    seeds: Mapping[str, Sequence[str]] | None = None,
    parts: frozenset[str] = ALL_PARTS,
    ports: Ports | None = None,
    minimum_free: int = _MINIMUM_FREE,
) -> PlatformEndpoints:
    """Start whatever of the platform does not run or is not well, and return how to reach it.

    :param seeds: images of docker.io that builds need, with the Debian packages in each; made here
        where the public registry can't be reached.
    :param parts: ``ALL_PARTS`` or ``BUILD_PARTS``; with the latter ``CONTAINER_PARTS`` or
        ``NETWORK_PARTS`` where images are run, with either ``TRUST_PARTS`` where Docker Content
        Trust signs. Parts that are not named are left as they are; but ``ALL_PARTS`` includes
        those that were asked for since the last ``down``, so that all that ``status`` tells of is
        well.
    :param minimum_free: bytes that must be free before anything is started.
    :raises PrivilegeError: not root.
    :raises PortTakenError: somebody else has a port that is needed.
    :raises DiskFullError: too little space is free.
    :raises PlatformError: a part did not start.
    """
    require_root("`up`")
    began = time.monotonic()
    layout = Layout(state.absolute())
    layout.make()
    # A part that was asked for before is in what `status` tells; `up` must not leave it down.
    if parts >= ALL_PARTS and layout.record(NOTARY).exists():
        parts |= TRUST_PARTS
    startup = Startup(
        layout=layout,
        ports=ports or Ports(),
        network=Network(),
        toolbox=toolbox,
        runner=runner,
        reporter=reporter,
        seeds=tuple(Seed.parse(name, packages) for name, packages in (seeds or {}).items()),
        minimum_free=minimum_free,
    )
    with _exclusive(layout, reporter):
        # Before anything starts: after a kill, `status` and `down` look at the right ones.
        layout.save_ports(startup.ports)
        run_tasks(
            startup.tasks(parts),
            stopping=startup.stopping,
            on_interrupt=runner.terminate_all,
        )
    how = "is up" if startup.started else "was up already"
    reporter.line(f"the local platform {how} ({time.monotonic() - began:.1f} s)")
    return layout.endpoints(startup.ports)


def down(*, state: Path, runner: Runner, reporter: Reporter, purge: bool = False) -> None:
    """Stop what ``up`` started, and nothing else; leave no process, mount, interface or rule.

    Images, the build cache and the cluster's objects stay for the next ``up``, unless ``purge``
    removes the whole state folder.

    :raises PrivilegeError: not root.
    :raises PlatformError: something could not be taken away.
    """
    layout = Layout(state.absolute())
    # Processes may outlive their folder: somebody deleted it.
    if not layout.state.exists() and not find_marked(layout.state):
        reporter.line("the local platform is not there")
        return
    require_root("`down`")
    layout.make()
    began = time.monotonic()
    with _exclusive(layout, reporter):
        # Otherwise nothing of the network was touched, and what there is, is another platform's.
        # Who deleted our state folder, and so our memory of it, may have left a cluster running.
        had_network = network_is_ours(layout) or _runs(layout, "kubelet")
        _stop_everything(layout)
        # Before the run folder is cleared: what is mounted in it must not be deleted with it.
        unmount_all(layout)
        remove_cgroups(layout)
        clear_run_folder(layout)
        if had_network:
            remove_network(layout, Network(), runner)
        # Before the folder goes: rmtree into a mount would delete what is mounted.
        _require_gone(layout)
        if purge:
            shutil.rmtree(layout.state)
    what = "is down, and its data is gone" if purge else "is down"
    reporter.line(f"the local platform {what} ({time.monotonic() - began:.1f} s)")


def status(*, state: Path) -> PlatformStatus:
    """Look at every part. Changes nothing, and needs no root to see what is healthy."""
    layout = Layout(state.absolute())
    ports = layout.load_ports()
    if ports is None:
        return PlatformStatus(parts=(), endpoints=None)
    parts = [_part_status(layout, part) for part in _declare(layout, ports)]
    if is_complete(layout.pki):
        parts += _cluster_status(layout, ports)
    return PlatformStatus(parts=tuple(parts), endpoints=layout.endpoints(ports))


def _declare(layout: Layout, ports: Ports) -> list[Part]:
    """Declare the parts well enough to ask how they are: their programs don't matter for that."""
    program, network = Path("?"), Network()
    parts = [registry_part(layout, ports, program), buildkitd_part(layout, ports, program)]
    if layout.record(NOTARY).exists():  # it was asked for since the last `down`
        parts.append(notary_part(layout, ports, program, pki=""))
    host = Host(may_lower_oom_score=True, cni_plugins=program, nameservers=())
    has_cluster = is_complete(layout.pki)
    if has_cluster or layout.record("containerd").exists():
        parts.append(containerd_part(layout, ports, network, host, pause=""))
    if not has_cluster:
        return parts
    cluster = ControlPlane(
        layout=layout, ports=ports, network=network, host=host, kube=program, pki=""
    )
    return [
        *parts,
        *control_parts(cluster).values(),
        proxy_part(cluster),
        kubelet_part(cluster),
    ]


def _part_status(layout: Layout, part: Part) -> PartStatus:
    process = read_record(layout.record(part.name))
    return PartStatus(
        name=part.name,
        running=process is not None,
        healthy=process is not None and part.healthy(),
        pid=process.pid if process else None,
        log=layout.log(part.name),
        address=part.address,
    )


def _cluster_status(layout: Layout, ports: Ports) -> list[PartStatus]:
    api = Api(port=ports.apiserver, pki=layout.pki)
    since = started_at(layout.record("kubelet"))
    found = {"node": node_ready(api, since=since), "dns": dns_answers(Network())}
    addresses = {"node": Network().node, "dns": Network().dns}
    return [
        PartStatus(
            name=name,
            running=ready,
            healthy=ready,
            pid=None,
            log=None,
            address=addresses[name],
        )
        for name, ready in found.items()
    ]


def _stop_everything(layout: Layout) -> None:
    for names in _STOP_ORDER:
        # Found anew each time: kubelet may start something while it ends.
        stop([p for p in find_marked(layout.state) if part_of(p.pid) in names], grace=2.0)
    stop_containers(layout)
    stop(find_marked(layout.state), grace=3.0)


def _runs(layout: Layout, part: str) -> bool:
    return bool(find_marked(layout.state, part))


def _require_gone(layout: Layout) -> None:
    left = [f"process {process.pid}" for process in find_marked(layout.state)]
    left += [f"mount {point}" for point in mounts_below(layout.state)]
    if left:
        raise PlatformError(
            f"The platform could not be stopped completely; left are: {', '.join(left)}.",
            hint="run `nox -s down` again.",
        )


@contextlib.contextmanager
def _exclusive(layout: Layout, reporter: Reporter) -> Iterator[None]:
    """Hold the platform's lock. The kernel lets go of it when we die, however that happens."""
    handle = _lock(layout, reporter)
    try:
        yield
    finally:
        os.close(handle)


def _lock(layout: Layout, reporter: Reporter) -> int:
    while True:
        handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.line("waiting for another `up` or `down` of the local platform to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            # Is it still the file of that name? A lock on a deleted one holds nobody.
            if os.path.samestat(layout.lock.stat(), os.fstat(handle)):
                return handle
        os.close(handle)  # a `down --purge` has removed the file that we waited for
        layout.make()
