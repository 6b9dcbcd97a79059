"""Roll out workloads at once, as Kubernetes' controllers and kubelets would: ``Rollouts``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

__all__ = ["PodFault", "Rollouts"]

_REVISION = "deployment.kubernetes.io/revision"
_JOB = "batch.kubernetes.io/job-name"
_CRASHES = 3


@dataclass(kw_only=True)
class PodFault:
    """Why pods do not become ready."""

    code: str
    message: str = ""
    left: int | None = None
    """How many times more; None: always."""


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Gives a workload that was written its status and its pods."""

    now: Callable[[], datetime]
    faults: dict[str, PodFault] = field(default_factory=dict)
    """Workload, or beginning of a Job's name -> the failure of its pods."""

    def roll_out(
        self, namespace: str, workload: dict[str, Any], before: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Fill in a workload's status, and return what it owns: path -> object.

        :param namespace: path of the namespace in the workload's API group.
        :param before: metadata of what the workload was.
        """
        kind = workload.get("kind", "")
        if kind not in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
            return {}
        core = f"/api/v1/namespaces/{namespace.rpartition('/')[2]}"
        name = workload["metadata"]["name"]
        fault = self._fault(kind, name)
        if kind == "Job":
            pod = self._pod(workload, f"{name}-1", workload, fault)
            workload["status"] = _job_status(fault)
            return {f"{core}/pods/{pod['metadata']['name']}": pod}
        generation = int(before.get("generation", 0)) + 1
        workload["metadata"]["generation"] = generation
        count = 1 if kind == "DaemonSet" else int(workload["spec"].get("replicas", 1))
        workload["status"] = _status_of(count, 0 if fault else count, generation)
        owner, made = workload, {}
        if kind == "Deployment":
            workload["metadata"].setdefault("annotations", {})[_REVISION] = str(generation)
            owner = self._replica_set(workload, generation)
            made[f"{namespace}/replicasets/{owner['metadata']['name']}"] = owner
        for number in range(count):
            pod = self._pod(workload, f"{name}-{generation}-{number}", owner, fault)
            made[f"{core}/pods/{pod['metadata']['name']}"] = pod
        return made

    def _fault(self, kind: str, name: str) -> PodFault | None:
        """Return the failure of a workload's pods this time."""
        job = kind == "Job"
        fits = (
            one for key, one in self.faults.items() if key == name or (job and name.startswith(key))
        )
        found = next((one for one in fits if one.left != 0), None)
        if found is not None and found.left is not None:
            found.left -= 1
        return found

    def _replica_set(self, workload: Mapping[str, Any], generation: int) -> dict[str, Any]:
        metadata = self._metadata(f"{workload['metadata']['name']}-{generation}", workload)
        metadata["annotations"] = {_REVISION: str(generation)}
        return {"kind": "ReplicaSet", "metadata": metadata, "spec": workload["spec"]}

    def _pod(
        self,
        workload: Mapping[str, Any],
        name: str,
        owner: Mapping[str, Any],
        fault: PodFault | None,
    ) -> dict[str, Any]:
        template = workload["spec"]["template"]
        labels = {**template.get("metadata", {}).get("labels", {})}
        labels["aksci.test/workload"] = workload["metadata"]["name"]
        job = workload["kind"] == "Job"
        if job:
            labels[_JOB] = workload["metadata"]["name"]
        containers = template["spec"]["containers"]
        well = fault is None
        ready = {"type": "Ready", "status": str(well and not job)}
        return {
            "kind": "Pod",
            "metadata": {**self._metadata(name, owner), "labels": labels},
            "spec": template["spec"],
            "status": {
                "phase": ("Succeeded" if job else "Running") if well else "Pending",
                "conditions": [ready],
                "containerStatuses": [_container(each, fault, job=job) for each in containers],
            },
        }

    def _metadata(self, name: str, owner: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "uid": f"{owner['metadata'].get('uid', '')}/{name}",
            "creationTimestamp": f"{self.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "ownerReferences": [{"kind": owner["kind"], "uid": owner["metadata"].get("uid", "")}],
        }


def _status_of(desired: int, available: int, generation: int) -> dict[str, Any]:
    """Return a status that Deployments, StatefulSets and DaemonSets can read alike."""
    return {
        "observedGeneration": generation,
        "replicas": desired,
        "updatedReplicas": desired,
        "availableReplicas": available,
        "readyReplicas": available,
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": desired,
        "updatedNumberScheduled": desired,
        "numberAvailable": available,
    }


def _job_status(fault: PodFault | None) -> dict[str, Any]:
    if fault is None:
        return {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1}
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    return {"conditions": [{**failed, "message": fault.message}], "failed": 1}


def _container(spec: Mapping[str, Any], fault: PodFault | None, *, job: bool) -> dict[str, Any]:
    image = str(spec.get("image", ""))
    found: dict[str, Any] = {"name": spec["name"], "image": image, "ready": False}
    if fault is None:
        state = {"terminated": {"exitCode": 0}} if job else {"running": {}}
        return {**found, "imageID": image, "ready": not job, "restartCount": 0, "state": state}
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    if job:
        return {**found, "restartCount": 0, "state": ended}
    waiting = {"waiting": {"reason": fault.code, "message": fault.message}}
    crashed = fault.code == "CrashLoopBackOff"
    return {
        **found,
        "restartCount": _CRASHES if crashed else 0,
        "state": waiting,
        "lastState": ended if crashed else {},
    }
