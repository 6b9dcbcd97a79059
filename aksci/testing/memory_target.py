"""What applies a service to a cluster in memory: ``MemoryTarget``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DeployError
from aksci.deploy.targets.deploy_target import Revision, ServiceState, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.targets.deploy_target import Change
    from aksci.testing.memory_cluster import MemoryCluster

__all__ = ["AppliedService", "MemoryTarget"]

_PLACES = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
}
_HISTORY = 10
_DESIRED, _RELEASE = "aksci.test/desired", "aksci.test/release"


@dataclass(frozen=True, kw_only=True)
class AppliedService:
    """One revision of a service."""

    service: str
    revision: int
    action: str
    """``apply`` or ``restore``."""
    images: Mapping[str, str]
    """Values key -> ``registry/repository@sha256:…``."""
    values: tuple[str, ...]
    """The values files that it was given, in order."""
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)


def one_deployment(change: Change) -> list[dict[str, Any]]:
    """Make a Deployment of one pod, with a container for each of a service's images."""
    labels = {"app.kubernetes.io/name": change.service}
    containers = [
        {"name": key.rpartition(".")[2].lower(), "image": str(image)}
        for key, image in sorted(change.images.items())
    ]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": change.service, "labels": labels}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}]


@dataclass(kw_only=True)
class MemoryTarget(Target):
    """Stands in for Helm: applies services to a ``MemoryCluster``, and keeps their revisions there.

    It renders no template: of each service it makes one Deployment that runs the service's images,
    or what ``render_objects`` returns. It runs no hooks of charts. So it shows which images by
    which digests came where, in which order, and by which values files; what the chart makes of
    them, ``nox -s lint`` and a real cluster can tell. It is called from several threads.

    >>> from aksci.testing import MemoryWorld
    >>> target = MemoryWorld().target("staging")
    >>> target.fail("web", "field is immutable")
    >>> [each.service for each in target.applied]  # after a deployment: the others, in their order
    []
    """

    memory: MemoryCluster
    """The cluster to which it applies; its methods get a client of it."""
    render_objects: Callable[[Change], list[dict[str, Any]]] = one_deployment
    """What a service is to become -> Kubernetes objects, in place of the one Deployment."""
    applied: list[AppliedService] = field(default_factory=list)
    """All revisions that were made, in order."""
    removed: list[str] = field(default_factory=list)
    """Services that were removed, in order."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Service -> why it can't be applied; nothing is written then."""

    def fail(self, service: str, message: str = "it was told to fail") -> None:
        """Refuse to apply a service, until ``recover``."""
        self.refusals[service] = message

    def recover(self) -> None:
        """Apply everything again."""
        self.refusals.clear()

    def images(self, service: str) -> Mapping[str, str]:
        """Return the images of a service's latest revision: values key -> reference by digest."""
        found = [each for each in self.applied if each.service == service]
        return found[-1].images if found else {}

    # As a target

    def observe(self, cluster: Cluster) -> Mapping[str, ServiceState]:
        """Return the revisions of each service."""
        found: dict[str, list[Revision]] = {}
        for secret in self.memory.find(cluster.namespace, "secrets").values():
            labels = secret["metadata"].get("labels", {})
            if labels.get("owner") == "helm":
                revision = Revision(
                    number=int(labels["version"]),
                    status=labels["status"],
                    desired=labels.get(_DESIRED, ""),
                    release=labels.get(_RELEASE, ""),
                )
                found.setdefault(labels["name"], []).append(revision)
        return {
            name: ServiceState(name=name, revisions=tuple(sorted(each)))
            for name, each in found.items()
        }

    def render(self, change: Change) -> Sequence[Mapping[str, Any]]:
        """Return what would be applied."""
        return self.render_objects(change)

    def apply(self, cluster: Cluster, change: Change) -> None:
        """Make a new revision."""
        if change.service in self.refusals:
            why = self.refusals[change.service]
            raise DeployError(f"services.{change.service}: it can't be applied: {why}")
        applied = AppliedService(
            service=change.service,
            revision=change.number,
            action="apply",
            images={key: str(image) for key, image in change.images.items()},
            values=tuple(str(path) for path in change.values),
            objects=tuple(self.render_objects(change)),
        )
        self._apply(
            cluster.namespace, applied, {_DESIRED: change.desired, _RELEASE: change.release}
        )

    def objects(self, cluster: Cluster, service: str) -> Sequence[Mapping[str, Any]]:
        """Return the objects of a service's latest revision."""
        return self._objects(cluster.namespace, service)

    def status(self, cluster: Cluster, service: str, *, timeout: float) -> str:  # noqa: ARG002
        """Report no problem: the objects' own status is enough."""
        return ""

    def restore(self, cluster: Cluster, service: str, number: int, *, timeout: int) -> None:  # noqa: ARG002
        """Make a new revision of an earlier one."""
        secret = self.memory.objects[_secret(cluster.namespace, service, number)]
        kept = json.loads(secret["data"]["revision"])
        applied = AppliedService(
            service=service,
            revision=self._numbers(cluster.namespace, service)[-1] + 1,
            action="restore",
            images=kept["images"],
            values=tuple(kept["values"]),
            objects=tuple(kept["objects"]),
        )
        self._apply(cluster.namespace, applied, secret["metadata"]["labels"])

    def remove(self, cluster: Cluster, service: str, *, timeout: int) -> None:  # noqa: ARG002
        """Remove a service with its revisions."""
        for each in self._objects(cluster.namespace, service):
            self.memory.remove(_path(cluster.namespace, each))
        for number in self._numbers(cluster.namespace, service):
            self.memory.remove(_secret(cluster.namespace, service, number))
        self.removed.append(service)

    def stop(self) -> None:
        """Do nothing: no operation takes time."""

    def _apply(self, namespace: str, made: AppliedService, labels: Mapping[str, str]) -> None:
        before = {_path(namespace, each) for each in self._objects(namespace, made.service)}
        older = self._numbers(namespace, made.service)
        owner = {"meta.helm.sh/release-name": made.service}
        for each in made.objects:
            annotations = {**each["metadata"].get("annotations", {}), **owner}
            metadata = {**each["metadata"], "annotations": annotations}
            self.memory.apply(_path(namespace, each), {**each, "metadata": metadata})
        for path in before - {_path(namespace, each) for each in made.objects}:
            self.memory.remove(path)
        for number in older[: 1 - _HISTORY]:
            self.memory.remove(_secret(namespace, made.service, number))
        for number in older[1 - _HISTORY :]:
            secret = self.memory.objects[_secret(namespace, made.service, number)]
            secret["metadata"]["labels"]["status"] = "superseded"
        self._keep(namespace, made, labels)
        self.applied.append(made)

    def _keep(self, namespace: str, made: AppliedService, labels: Mapping[str, str]) -> None:
        """Store a revision as Helm does: in a Secret, found by its labels."""
        path = _secret(namespace, made.service, made.revision)
        version = {"version": str(made.revision), "status": "deployed"}
        ours = {**labels, "owner": "helm", "name": made.service, **version}
        metadata = {"name": path.rpartition("/")[2], "labels": ours}
        revision = {
            "objects": list(made.objects),
            "images": dict(made.images),
            "values": list(made.values),
        }
        data = {"revision": json.dumps(revision)}
        self.memory.apply(path, {"kind": "Secret", "metadata": metadata, "data": data})

    def _objects(self, namespace: str, service: str) -> list[dict[str, Any]]:
        numbers = self._numbers(namespace, service)
        if not numbers:
            return []
        secret = self.memory.objects[_secret(namespace, service, numbers[-1])]
        return list(json.loads(secret["data"]["revision"])["objects"])

    def _numbers(self, namespace: str, service: str) -> list[int]:
        """Return the numbers of a service's revisions, the oldest first."""
        labels = [
            one["metadata"].get("labels", {})
            for one in self.memory.find(namespace, "secrets").values()
        ]
        return sorted(int(each["version"]) for each in labels if each.get("name") == service)


def _secret(namespace: str, service: str, number: int) -> str:
    place = _PLACES["Secret"].format(namespace)
    return f"{place}/sh.helm.release.v1.{service}.v{number}"


def _path(namespace: str, one: Mapping[str, Any]) -> str:
    kind = str(one.get("kind"))
    place = _PLACES.get(kind, f"/apis/other/namespaces/{{}}/{kind.lower()}s").format(namespace)
    return f"{place}/{one['metadata']['name']}"
