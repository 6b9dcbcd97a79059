"""What runs in a namespace: what is desired of each service, and what its pods really run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aksci.deploy.deploy_plan import read_state
from aksci.deploy.targets.helm import read_helm_states
from aksci.deploy.tracking.workload_health import Patience
from aksci.supply.release.promotion_gates import RunningRelease, running_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.deploy.deploy_plan import ClusterState
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.state.deploy_record import Deployed
    from aksci.deploy.targets.deploy_target import ServiceState

__all__ = ["NamespaceStatus", "PodImage", "ServiceStatus", "read_status", "running_release"]


@dataclass(frozen=True, kw_only=True)
class PodImage:
    """One container of one pod."""

    pod: str
    container: str
    desired: str
    """The image that the pod's specification names."""
    running: str
    """The image ID that the kubelet reports; empty until it runs."""
    ready: bool
    restarts: int


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """One service."""

    name: str
    revision: int
    """Helm's; 0 when it is not deployed."""
    state: str
    """Helm's word, or ``absent``."""
    release: str
    """The release of its last good state."""
    chart: str
    """Hash of the chart's files."""
    healthy: bool
    workloads: tuple[str, ...]
    pods: tuple[PodImage, ...]


@dataclass(frozen=True, kw_only=True)
class NamespaceStatus:
    """One namespace."""

    namespace: str
    release: str
    """The last release that was deployed completely."""
    unfinished: str
    """A release whose deployment did not end well."""
    services: tuple[ServiceStatus, ...]
    history: tuple[Deployed, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"schema": 1, **asdict(self)}

    def text(self) -> str:
        """Return it for people."""
        lines = [f"namespace  {self.namespace}", f"release    {self.release or 'none'}"]
        if self.unfinished:
            lines.append(f"unfinished {self.unfinished}: run deploy again, or rollback")
        width = max((len(each.name) for each in self.services), default=0)
        for service in self.services:
            word = "healthy" if service.healthy else "NOT HEALTHY"
            ready = sum(pod.ready for pod in service.pods)
            lines.append(
                f"{service.name:{width}}  revision {service.revision} ({service.state}), {word}, "
                f"{ready}/{len(service.pods)} containers ready"
            )
            lines += [
                f"{'':{width}}    {text}" for text in service.workloads if not service.healthy
            ]
            images = sorted({pod.desired for pod in service.pods})
            lines += [f"{'':{width}}    {image}" for image in images]
        return "\n".join(lines)


def read_status(
    cluster: Cluster,
    services: Iterable[str],
    observe: Callable[[Cluster], Mapping[str, ServiceState]] = read_helm_states,
) -> NamespaceStatus:
    """Look at what runs, for the services named and any other that aksci has deployed here.

    :param observe: what the target has: see ``Target``.
    """
    state = read_state(cluster, observe)
    record = state.record
    attempt = record.attempt if record.attempt != record.current else ""
    return NamespaceStatus(
        namespace=cluster.namespace,
        release=record.current,
        unfinished=attempt,
        services=tuple(_service(name, state) for name in sorted({*services, *record.services})),
        history=record.history,
    )


def running_release(status: NamespaceStatus, release: str) -> RunningRelease:
    """Tell a promotion's gates how a release does here.

    :param release: ``registry/repository@sha256:…``; which registry does not matter.
    """
    problems = [
        f"the service {service.name!r} is not healthy"
        for service in status.services
        if not service.healthy
    ]
    if status.unfinished:
        problems.append(f"the deployment of {status.unfinished} has begun and has not ended")
    history = [(entry.release, entry.at) for entry in status.history]
    return RunningRelease(since=running_since(history, release), problems=tuple(problems))


def _service(name: str, state: ClusterState) -> ServiceStatus:
    helm, good = state.applied.get(name), state.record.services.get(name)
    latest = helm.latest if helm else None
    # Without a record, such as after a first deployment that failed.
    names = good.workloads if good else _annotated(name, state)
    healths = [state.snapshot.health(each, Patience()) for each in names]
    return ServiceStatus(
        name=name,
        revision=latest.number if latest else 0,
        state=latest.status if latest else "absent",
        release=good.release if good else "",
        chart=str(good.inputs.get("chart", "")) if good else "",
        healthy=bool(latest) and all(each.done for each in healths),
        workloads=tuple(f"{each.workload}: {each.text}" for each in healths),
        pods=tuple(_pod_images(names, state)),
    )


def _annotated(service: str, state: ClusterState) -> tuple[str, ...]:
    """Find workloads by the annotation that Helm puts on all that it applies."""
    key = "meta.helm.sh/release-name"
    return tuple(
        name
        for name, each in state.snapshot.workloads.items()
        if each["metadata"].get("annotations", {}).get(key) == service
    )


def _pod_images(workloads: Iterable[str], state: ClusterState) -> list[PodImage]:
    snapshot = state.snapshot
    owners = {
        snapshot.workloads[each]["metadata"]["uid"]
        for each in workloads
        # Its pods belong to Jobs of their own, which come and go.
        if each in snapshot.workloads and not each.startswith("CronJob/")
    }
    owners |= {each["metadata"]["uid"] for each in snapshot.replica_sets if _owned_by(each, owners)}
    return [image for pod in snapshot.pods if _owned_by(pod, owners) for image in _containers(pod)]


def _containers(pod: dict[str, Any]) -> list[PodImage]:
    states = {each["name"]: each for each in pod.get("status", {}).get("containerStatuses", [])}
    return [
        PodImage(
            pod=pod["metadata"]["name"],
            container=each["name"],
            desired=each["image"],
            # What the kubelet says, and not the specification: a tag there may mean either.
            running=states.get(each["name"], {}).get("imageID", ""),
            ready=bool(states.get(each["name"], {}).get("ready")),
            restarts=int(states.get(each["name"], {}).get("restartCount", 0)),
        )
        for each in pod["spec"]["containers"]
    ]


def _owned_by(thing: dict[str, Any], owners: set[str]) -> bool:
    return any(ref["uid"] in owners for ref in thing["metadata"].get("ownerReferences", []))
