"""Follow a rollout until it is complete, or until it certainly will not be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import Interrupted
from aksci.deploy.tracking.workload_health import TRACKED, Fault, Health, Patience, workload_health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aksci.deploy.kubernetes.cluster import Cluster

__all__ = ["RolloutOutcome", "Snapshot", "take_snapshot", "track", "workloads_of"]

_POLL = 0.5


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All workloads and pods of the namespace at about one moment."""

    workloads: dict[str, dict[str, Any]]
    """``Kind/name`` -> object."""
    pods: list[dict[str, Any]]
    replica_sets: list[dict[str, Any]]

    def health(self, name: str, patience: Patience) -> Health:
        """Judge one workload; one that does not exist is not done."""
        workload = self.workloads.get(name)
        if workload is None:
            return Health(workload=name, done=False, text="does not exist")
        return workload_health(workload, self.pods, self.replica_sets, patience=patience)


@dataclass(frozen=True, kw_only=True)
class RolloutOutcome:
    """How a rollout ended: complete, or with the first fault."""

    healths: tuple[Health, ...]
    fault: Fault | None
    workload: str = ""
    """Whose fault it is."""
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether all is rolled out."""
        return self.fault is None


def take_snapshot(cluster: Cluster, kinds: Iterable[str] = TRACKED) -> Snapshot:
    """Read the namespace, one call a kind, and never from a cache that may be behind."""
    workloads = {
        f"{kind}/{each['metadata']['name']}": {**each, "kind": kind}
        for kind in sorted(set(kinds))
        for each in cluster.list(kind)
    }
    # Only Deployments have ReplicaSets between themselves and their pods.
    has_deployment = any(name.startswith("Deployment/") for name in workloads)
    return Snapshot(
        workloads=workloads,
        pods=cluster.list("Pod"),
        replica_sets=cluster.list("ReplicaSet") if has_deployment else [],
    )


def workloads_of(manifest: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Name the workloads of a rendered chart: ``Kind/name``, sorted."""
    names = {f"{each.get('kind')}/{each.get('metadata', {}).get('name')}" for each in manifest}
    return tuple(sorted(name for name in names if name.partition("/")[0] in TRACKED))


def track(
    cluster: Cluster,
    workloads: tuple[str, ...],
    *,
    timeout: float,
    say: Callable[[str], None],
    check: Callable[[], None],
    patience: Patience | None = None,
) -> RolloutOutcome:
    """Wait until all workloads are rolled out, or one has a fault that waiting will not cure.

    :param timeout: seconds for all of them together.
    :param check: called at each look; raises when we may not go on (the lock was lost).
    """
    patience = patience or Patience()
    kinds = {name.partition("/")[0] for name in workloads}
    started = time.monotonic()
    seen: dict[str, str] = {}
    since: dict[tuple[str, str, str], float] = {}
    while True:
        check()
        # Lists, not a watch: a watch that broke off unseen would leave us waiting on old news.
        snapshot = take_snapshot(cluster, kinds) if workloads else None
        healths = tuple(snapshot.health(name, patience) for name in workloads) if snapshot else ()
        now = time.monotonic()
        for health in healths:
            # Only what is new: a rollout of minutes would fill the log with one line.
            if seen.get(health.workload) != health.text:
                seen[health.workload] = health.text
                say(f"{health.workload}: {health.text}")
        failed = _first_lasting(cluster, healths, since, now)
        # A fault comes before the time-out: it says why.
        if failed is None and now - started > timeout and not all(each.done for each in healths):
            failed = _timed_out(healths, timeout)
        if failed or all(each.done for each in healths):
            workload, fault = failed or ("", None)
            return RolloutOutcome(
                healths=healths, fault=fault, workload=workload, seconds=now - started
            )
        if cluster.halt.wait(_POLL):
            raise Interrupted("Stopped during the rollout; the next run takes it up again.")


def _first_lasting(
    cluster: Cluster,
    healths: tuple[Health, ...],
    since: dict[tuple[str, str, str], float],
    now: float,
) -> tuple[str, Fault] | None:
    """Return the first fault that has lasted as long as it is to be borne."""
    present = {
        (each.workload, each.fault.code, each.fault.pod): each.fault
        for each in healths
        if each.fault
    }
    # It has to last without a break: who recovers and fails again starts anew. The message is not
    # part of the key, for a back-off's seconds change in it at each look.
    for key in set(since) - set(present):
        del since[key]
    for key, fault in present.items():
        if now - since.setdefault(key, now) < fault.patience:
            continue
        if fault.code == "UNSCHEDULABLE" and _node_is_coming(cluster, fault.pod):
            continue
        return key[0], fault
    return None


def _node_is_coming(cluster: Cluster, pod: str) -> bool:
    """Tell whether the cluster autoscaler has said that it adds a node for the pod."""
    fields = f"involvedObject.name={pod},reason=TriggeredScaleUp"
    return bool(cluster.list("Event", fields=fields))


def _timed_out(healths: tuple[Health, ...], timeout: float) -> tuple[str, Fault]:
    late = next(each for each in healths if not each.done)
    # It has not lasted long enough to count, but it says more than that time is up.
    if late.fault:
        return late.workload, late.fault
    message = f"not complete after {timeout:g} s: {late.text}"
    return late.workload, Fault(code="TIMEOUT", message=message)
