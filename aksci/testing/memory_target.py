"""What applies a service to a cluster in memory: ``MemoryTarget``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DeployError
from aksci.deploy.targets.deploy_target import Revision, ServiceState, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from aksci.deploy.targets.deploy_target import Change
    from aksci.oci.references import ImageRef
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


@dataclass(frozen=True, kw_only=True)
class AppliedService:
    """One revision of a service."""

    service: str
    revision: int
    action: str
    """``upgrade``, which installs, too; or ``rollback``."""
    images: Mapping[str, str]
    """Values key -> ``registry/repository@sha256:…``."""
    values: tuple[str, ...]
    """The values files that it was given, in order."""
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)


def one_deployment(
    name: str,
    chart: Path,  # noqa: ARG001 - for those who look into it
    values: Sequence[Path],  # noqa: ARG001
    images: Mapping[str, ImageRef],
) -> list[dict[str, Any]]:
    """Make a Deployment of one pod, with a container for each of a service's images."""
    labels = {"app.kubernetes.io/name": name}
    containers = [
        {"name": key.rpartition(".")[2].lower(), "image": str(image)}
        for key, image in sorted(images.items())
    ]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "labels": labels}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}]


@dataclass(kw_only=True)
class MemoryTarget(Target):
    """Stands in for Helm: applies services to a ``MemoryCluster``, and keeps their revisions there.

    It renders no template: of each service it makes one Deployment that runs the service's images,
    or what ``render`` returns. It runs no hooks of charts. So it shows which images by which
    digests came where, in which order, and by which values files; what the chart makes of them,
    ``nox -s lint`` and a real cluster can tell. It is called from several threads.

    >>> from aksci.testing import MemoryWorld
    >>> target = MemoryWorld().target("staging")
    >>> target.fail("web", "field is immutable")
    >>> [each.service for each in target.applied]  # after a deployment: the others, in their order
    []
    """

    cluster: MemoryCluster
    namespace: str
    render_objects: Callable[
        [str, Path, Sequence[Path], Mapping[str, ImageRef]], list[dict[str, Any]]
    ] = one_deployment
    """Service, chart, values files and images -> objects, in place of the one Deployment."""
    applied: list[AppliedService] = field(default_factory=list)
    """All revisions that were made, in order."""
    removed: list[str] = field(default_factory=list)
    """Services that were uninstalled, in order."""
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

    # As a ``Target``

    def observe(self, cluster: Any) -> Mapping[str, ServiceState]:  # noqa: ARG002 - it has its own
        """Return the state of each service."""
        found: dict[str, list[Revision]] = {}
        for one in self.cluster.find(self.namespace, "secrets").values():
            labels = one["metadata"].get("labels", {})
            if labels.get("owner") == "helm":
                number = int(labels["version"])
                ours = labels.get("aksci.dev/revision") == str(number)
                revision = Revision(
                    number=number,
                    status=labels["status"],
                    desired=labels.get("aksci.dev/desired", "") if ours else "",
                    release=labels.get("aksci.dev/release", ""),
                )
                found.setdefault(labels["name"], []).append(revision)
        return {
            name: ServiceState(name=name, revisions=tuple(sorted(each)))
            for name, each in found.items()
        }

    def render(self, change: Change) -> list[dict[str, Any]]:
        """Return what would be applied."""
        return self.render_objects(change.service, change.chart, change.values, change.images)

    def apply(self, cluster: Any, change: Change) -> None:  # noqa: ARG002 - it has its own
        """Install or upgrade a service."""
        name = change.service
        if name in self.refusals:
            raise DeployError(f"services.{name}: it can't be applied: {self.refusals[name]}")
        self._apply(
            name,
            action="upgrade",
            objects=self.render(change),
            images={key: str(image) for key, image in change.images.items()},
            values=tuple(str(path) for path in change.values),
            labels={
                "aksci.dev/desired": change.desired,
                "aksci.dev/release": change.release,
                "aksci.dev/revision": str(change.number),
            },
        )

    def objects(self, cluster: Any, service: str) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the objects of a service's latest revision."""
        return self.manifest(service)

    def status(self, cluster: Any, service: str, *, timeout: float) -> str:  # noqa: ARG002
        """Say nothing: the objects' rollout tells all."""
        return ""

    def restore(self, cluster: Any, service: str, number: int, *, timeout: int) -> None:  # noqa: ARG002
        """Make a new revision of an earlier one."""
        secret = self.cluster.objects[self._secret(service, number)]
        kept = json.loads(secret["data"]["revision"])
        self._apply(
            service,
            action="rollback",
            objects=kept["objects"],
            images=kept["images"],
            values=tuple(kept["values"]),
            labels=secret["metadata"]["labels"],
        )

    def remove(self, cluster: Any, service: str, *, timeout: int) -> None:  # noqa: ARG002
        """Remove a service with its revisions."""
        for each in self.manifest(service):
            self.cluster.remove(self._path(each))
        for number in self._numbers(service):
            self.cluster.remove(self._secret(service, number))
        self.removed.append(service)

    def stop(self) -> None:
        """Nothing here runs on."""

    def manifest(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of a service's latest revision."""
        numbers = self._numbers(name)
        if not numbers:
            return []
        secret = self.cluster.objects[self._secret(name, numbers[-1])]
        return list(json.loads(secret["data"]["revision"])["objects"])

    def _apply(
        self,
        name: str,
        *,
        action: str,
        objects: list[dict[str, Any]],
        images: Mapping[str, str],
        values: tuple[str, ...],
        labels: Mapping[str, str],
    ) -> None:
        before = {self._path(each) for each in self.manifest(name)}
        numbers = self._numbers(name)
        number = numbers[-1] + 1 if numbers else 1
        owner = {"meta.helm.sh/release-name": name}
        for each in objects:
            annotations = {**each["metadata"].get("annotations", {}), **owner}
            metadata = {**each["metadata"], "annotations": annotations}
            self.cluster.apply(self._path(each), {**each, "metadata": metadata})
        for path in before - {self._path(each) for each in objects}:
            self.cluster.remove(path)
        for older in numbers:
            self._supersede(name, older)
        self._keep(name, number, objects, images, values, labels)
        self.applied.append(
            AppliedService(
                service=name,
                revision=number,
                action=action,
                images=images,
                values=values,
                objects=tuple(objects),
            )
        )

    def _keep(
        self,
        name: str,
        number: int,
        objects: list[dict[str, Any]],
        images: Mapping[str, str],
        values: tuple[str, ...],
        labels: Mapping[str, str],
    ) -> None:
        """Store a revision as Helm does: in a Secret, found by its labels."""
        path = self._secret(name, number)
        ours = {"owner": "helm", "name": name, "version": str(number), "status": "deployed"}
        metadata = {"name": path.rpartition("/")[2], "labels": {**labels, **ours}}
        revision = {"objects": objects, "images": dict(images), "values": list(values)}
        data = {"revision": json.dumps(revision)}
        self.cluster.apply(path, {"kind": "Secret", "metadata": metadata, "data": data})

    def _supersede(self, name: str, number: int) -> None:
        path = self._secret(name, number)
        if number in self._numbers(name)[: 1 - _HISTORY]:
            self.cluster.remove(path)
        else:
            self.cluster.objects[path]["metadata"]["labels"]["status"] = "superseded"

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers of a service's revisions, the oldest first."""
        labels = [
            one["metadata"].get("labels", {})
            for one in self.cluster.find(self.namespace, "secrets").values()
        ]
        return sorted(int(each["version"]) for each in labels if each.get("name") == name)

    def _secret(self, name: str, number: int) -> str:
        place = _PLACES["Secret"].format(self.namespace)
        return f"{place}/sh.helm.release.v1.{name}.v{number}"

    def _path(self, one: Mapping[str, Any]) -> str:
        kind = str(one.get("kind"))
        default = f"/apis/other/namespaces/{{}}/{kind.lower()}s"
        place = _PLACES.get(kind, default).format(self.namespace)
        return f"{place}/{one['metadata']['name']}"
