"""What the cluster runs, or would run: every container of its pods and of its workloads.

Also which charts are installed, as far as that can be told without reading Helm's Secrets, which
hold the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.deploy.kubernetes.manifest_images import images_of
from aksci.deploy.state.deploy_record import read_record
from aksci.deploy.targets.helm import read_helm_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.state.deploy_record import DeployRecord
    from aksci.deploy.targets.deploy_target import ServiceState

__all__ = [
    "Container",
    "Running",
    "containers_of_pod",
    "containers_of_workload",
    "other_chart",
    "read_running",
]

_WORKLOADS = ("CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet")
_MADE = {"Job": "CronJob", "ReplicaSet": "Deployment"}
"""What makes them. Only these may be left out, and only for such an owner: anybody can write that
his Deployment has one."""
_ENDED = frozenset({"Succeeded", "Failed"})
"""Phases that a pod never leaves. Kubernetes documentation, "Pod Lifecycle"."""
_LISTS = {
    "initContainers": ("init container", "initContainerStatuses"),
    "containers": ("container", "containerStatuses"),
    "ephemeralContainers": ("ephemeral container", "ephemeralContainerStatuses"),
}
_HELM, _SERVICE = "meta.helm.sh/release-name", "aksci.dev/service"


@dataclass(frozen=True, kw_only=True, order=True)
class Container:
    """One container, as the API server tells of it: no text in it is sanitised."""

    place: str
    """``Pod/web-5c4f``, ``Deployment/web``."""
    name: str
    """``container main``, ``init container setup``, ``volume model``."""
    image: str
    """What the specification names."""
    running: str = ""
    """The image ID that the kubelet reports; empty in a workload, and until it runs."""
    pod: bool
    service: str = ""
    """The Helm release that it belongs to, or the service whose step it is; empty: neither."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """One namespace, as it was found."""

    record: DeployRecord
    helm: Mapping[str, ServiceState]
    containers: tuple[Container, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing that could be verified."""
        return not self.record.current and not self.helm and not self.containers

    def has(self, service: str) -> bool:
        """Tell whether there is anything of a service: also what Helm does not know any more."""
        return service in self.helm or any(each.service == service for each in self.containers)


def read_running(cluster: Cluster) -> Running:
    """Look at all that runs in the namespace, or that a workload in it would run.

    Workloads are listed before pods: a pod that came in between is seen, with or without its owner.
    What another workload makes (a Deployment its ReplicaSets) shows by its pods. What has ended and
    can't run again is left out.

    :raises DeployError: the cluster can't be asked; half an answer is none.
    """
    record, helm = read_record(cluster), read_helm_states(cluster)
    workloads = {kind: cluster.list(kind) for kind in _WORKLOADS}
    # By uid, which can't be given to another object; a name can.
    known = {each["metadata"]["uid"]: each for found in workloads.values() for each in found}
    containers = [
        container
        for kind, found in workloads.items()
        for each in found
        if not _is_made(kind, each, workloads) and not _job_ended(kind, each)
        for container in containers_of_workload(kind, each, known)
    ]
    containers += [
        container
        for pod in cluster.list("Pod")
        if (pod.get("status") or {}).get("phase") not in _ENDED
        for container in containers_of_pod(pod, known)
    ]
    return Running(record=record, helm=helm, containers=tuple(sorted(containers)))


def containers_of_workload(
    kind: str, workload: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[Container]:
    """Yield what a workload's pods would run."""
    place, service = f"{kind}/{workload['metadata']['name']}", _service(workload, known)
    for name, image in images_of(workload.get("spec")):
        # images_of names image volumes so.
        where = name if name.startswith("volume ") else f"container {name}"
        yield Container(place=place, name=where, image=image, pod=False, service=service)


def containers_of_pod(pod: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Container]:
    """Yield the containers of a pod, of all three kinds, and its image volumes.

    :param known: uid -> workload, to follow owners up to a Helm release.
    """
    place, service = f"Pod/{pod['metadata']['name']}", _service(pod, known)
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for key, (word, statuses) in _LISTS.items():
        ids = {each["name"]: str(each.get("imageID") or "") for each in status.get(statuses) or ()}
        for each in spec.get(key) or ():
            yield Container(
                place=place,
                name=f"{word} {each['name']}",
                image=str(each.get("image") or ""),
                running=ids.get(each["name"], ""),
                pod=True,
                service=service,
            )
    for name, image in images_of({"volumes": spec.get("volumes") or []}):
        yield Container(place=place, name=name, image=image, pod=True, service=service)


def other_chart(service: str, chart: str, running: Running) -> str:
    """Say what speaks against this chart being the one that is installed; empty: nothing.

    Helm's labels tell the revision, our record which revision we made, and of which chart. What
    Helm keeps of the chart itself is not read.

    :param chart: ``hash_chart`` of the chart that should be installed.
    """
    helm, good = running.helm.get(service), running.record.services.get(service)
    latest = helm.latest if helm else None
    if latest is None:
        return "Helm has no release of this name"
    if good is None:
        return f"aksci has not deployed Helm's revision {latest.number}"
    if latest.number != good.revision:
        return (
            f"Helm's revision {latest.number} ({latest.status}) is installed, and aksci has "
            f"deployed {good.revision}"
        )
    if good.inputs.get("chart") != chart:
        return f"Helm's revision {latest.number} was made of another chart"
    return ""


def _service(thing: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Follow the owners up, and return whose the uppermost is; it is attribution, and no proof."""
    seen: set[str] = set()
    # Owners are whatever somebody wrote: a circle must not hold us.
    while (owner := _owner(thing, known)) is not None and owner["metadata"]["uid"] not in seen:
        seen.add(owner["metadata"]["uid"])
        thing = owner
    metadata = thing["metadata"]
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    return str(annotations.get(_HELM) or labels.get(_SERVICE) or "")


def _owner(thing: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for reference in thing["metadata"].get("ownerReferences") or ():
        # One owner at most is the controller; others may be anybody's.
        if reference.get("controller") and reference.get("uid") in known:
            found: Mapping[str, Any] = known[reference["uid"]]
            return found
    return None


def _is_made(
    kind: str, thing: Mapping[str, Any], workloads: Mapping[str, Sequence[Mapping[str, Any]]]
) -> bool:
    makers = workloads[_MADE[kind]] if kind in _MADE else ()
    return _owner(thing, {each["metadata"]["uid"]: each for each in makers}) is not None


def _job_ended(kind: str, thing: Mapping[str, Any]) -> bool:
    conditions = (thing.get("status") or {}).get("conditions") or ()
    return kind == "Job" and any(
        each.get("type") in {"Complete", "Failed"} and each.get("status") == "True"
        for each in conditions
    )
