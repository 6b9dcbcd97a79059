"""Whether a workload is rolled out, and whether a pod can still get well; pure, over JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["TRACKED", "Fault", "Health", "Patience", "pod_fault", "workload_health"]

TRACKED = ("CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet")
"""Kinds whose rollout is followed; what else a chart holds is there as soon as it is applied."""

_HOPELESS_RESTARTS = 2  # a container that has crashed this often will not come up by waiting


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a state may last, in seconds, before it counts as a failure."""

    config_error: float = 10
    """A Secret may be on its way from an operator."""
    unschedulable: float = 60
    """A node may be on its way; an event of the autoscaler extends it to the whole time-out."""
    replica_failure: float = 10
    """Quota or admission."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why something is not running, by code."""

    code: str
    """``CRASH_LOOP IMAGE_PULL_NOT_FOUND IMAGE_PULL_DENIED IMAGE_PULL_UNREACHABLE
    IMAGE_PULL_PLATFORM IMAGE_PULL CONFIG_ERROR START_ERROR OOM UNSCHEDULABLE QUOTA ADMISSION
    NO_PROGRESS PAUSED JOB_FAILED PROBE_FAILING TIMEOUT TARGET``"""
    message: str
    pod: str = ""
    container: str = ""
    exit_code: int | None = None
    patience: float = 0
    """Seconds for which this must last before it counts."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """How far one workload is."""

    workload: str
    """``Deployment/catalog``."""
    done: bool
    text: str
    """For people: ``2/3 updated, 1 available``."""
    fault: Fault | None = None


def workload_health(
    workload: dict[str, Any],
    pods: list[dict[str, Any]],
    replica_sets: list[dict[str, Any]],
    *,
    patience: Patience,
) -> Health:
    """Judge one workload by itself and its pods.

    It is done when its newest generation is observed, all replicas are updated and available and no
    older pod is left. Source: Kubernetes API reference, apps/v1 and batch/v1.
    """
    kind = workload["kind"]
    name = f"{kind}/{workload['metadata']['name']}"
    # It has nothing to run before its time comes.
    if kind == "CronJob":
        return Health(workload=name, done=True, text="exists")
    if kind == "Job":
        return _job(name, workload, _owned(pods, {workload["metadata"].get("uid", "")}), patience)
    status = workload.get("status", {})
    # Until the controller has seen this generation, it counts the pods of the one before: all would
    # seem done before anything has begun.
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 1):
        return Health(workload=name, done=False, text="not observed yet")
    new, old = _split(workload, pods, replica_sets)
    desired, updated, available = _counts(workload)
    # A DaemonSet has a field of its own for it.
    total = status.get("replicas", status.get("currentNumberScheduled", 0))
    # Old pods are looked for themselves: some are still there when no replica counts them any more.
    done = (
        updated >= desired and available >= desired and total <= max(desired, updated) and not old
    )
    text = f"{updated}/{desired} updated, {available} available"
    text += f", {len(old)} old left" if old else ""
    # The workload before its pods: "paused" explains why there are none. Of the new ones only: old
    # pods may have been ill for long.
    fault = None if done else _workload_fault(workload, patience) or _first_fault(new, patience)
    return Health(workload=name, done=done, text=text, fault=fault)


def pod_fault(pod: dict[str, Any], patience: Patience) -> Fault | None:
    """Return why a pod can't get well by waiting, or None while it may."""
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            message = condition.get("message", "no node fits")
            return Fault(
                code="UNSCHEDULABLE", message=message, pod=name, patience=patience.unschedulable
            )
    # In the order in which they run: what waits for an init container has no fault of its own.
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    faults = [_container_fault(name, each, patience) for each in states]
    return next((each for each in faults if each), None)


def _container_fault(pod: str, state: dict[str, Any], patience: Patience) -> Fault | None:
    waiting = state.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    where: dict[str, Any] = {"pod": pod, "container": state["name"]}
    # ErrImagePull is a first failure, which may pass; ImagePullBackOff, that it was tried again.
    if reason in {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        return Fault(code=_pull_code(message), message=message or reason, **where)
    if reason == "CreateContainerConfigError":
        wait = patience.config_error
        return Fault(code="CONFIG_ERROR", message=message or reason, patience=wait, **where)
    if reason in {"CreateContainerError", "RunContainerError"}:
        wait = patience.config_error
        return Fault(code="START_ERROR", message=message or reason, patience=wait, **where)
    return _crash(state, where)


def _crash(state: dict[str, Any], where: dict[str, Any]) -> Fault | None:
    now, last = state.get("state", {}), state.get("lastState", {})
    ended = now.get("terminated") or last.get("terminated") or {}
    # Terminated: between its end and the kubelet's next attempt.
    crashing = "terminated" in now or now.get("waiting", {}).get("reason") == "CrashLoopBackOff"
    if not crashing or state.get("restartCount", 0) < _HOPELESS_RESTARTS:
        return None
    exit_code, reason = ended.get("exitCode"), ended.get("reason", "")
    message = f"the container has ended {state['restartCount'] + ('terminated' in now)} times"
    message += f", last with exit code {exit_code}" if exit_code is not None else ""
    message += f" ({reason})" if reason not in {"", "Error"} else ""
    if ended.get("message"):
        message += f": {ended['message'].strip()}"
    # containerd says StartError where the program can't be executed, such as for another
    # architecture.
    code = {"OOMKilled": "OOM", "StartError": "START_ERROR"}.get(reason, "CRASH_LOOP")
    return Fault(code=code, message=message, exit_code=exit_code, **where)


# The kubelet passes on containerd's words and nothing else: no status code travels in a pod's
# status.
# The first that fits counts: "no match for platform in manifest: not found".
_PULL = (
    ("IMAGE_PULL_PLATFORM", r"no match for platform"),
    ("IMAGE_PULL_DENIED", r"\b(401|403)\b|unauthorized|denied|authorization failed"),
    ("IMAGE_PULL_NOT_FOUND", r"not found|\b404\b|manifest unknown"),
    (
        "IMAGE_PULL_UNREACHABLE",
        r"no such host|connection refused|i/o timeout|deadline exceeded|x509|server misbehaving",
    ),
)


def _pull_code(message: str) -> str:
    found = (code for code, words in _PULL if re.search(words, message, re.IGNORECASE))
    return next(found, "IMAGE_PULL")


def _job(name: str, job: dict[str, Any], pods: list[dict[str, Any]], patience: Patience) -> Health:
    conditions = {
        each["type"]: each
        for each in job.get("status", {}).get("conditions", [])
        if each["status"] == "True"
    }
    if "Complete" in conditions:
        return Health(workload=name, done=True, text="complete")
    if "Failed" in conditions:
        failed = conditions["Failed"]
        message = f"{failed.get('reason', '')}: {failed.get('message', '')}"
        return Health(
            workload=name,
            done=False,
            text="failed",
            fault=Fault(code="JOB_FAILED", message=message),
        )
    fault = _first_fault(pods, patience)
    return Health(workload=name, done=False, text="running", fault=fault)


def _workload_fault(workload: dict[str, Any], patience: Patience) -> Fault | None:
    if workload["kind"] == "Deployment" and workload["spec"].get("paused"):
        return Fault(code="PAUSED", message="the Deployment is paused: nothing will be rolled out")
    for condition in workload.get("status", {}).get("conditions", []):
        message = condition.get("message", "")
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            code = "QUOTA" if "exceeded quota" in message else "ADMISSION"
            return Fault(code=code, message=message, patience=patience.replica_failure)
        # Kubernetes only says so, and goes on trying: to end is ours.
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return Fault(code="NO_PROGRESS", message=message)
    return None


def _first_fault(pods: list[dict[str, Any]], patience: Patience) -> Fault | None:
    faults = [
        # A pod that is being deleted need not get well.
        pod_fault(pod, patience)
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    ]
    return next((each for each in faults if each), None)


def _counts(workload: dict[str, Any]) -> tuple[int, int, int]:
    """Return desired, updated and available replicas."""
    spec, status, kind = workload["spec"], workload.get("status", {}), workload["kind"]
    if kind == "DaemonSet":
        desired = status.get("desiredNumberScheduled", 0)
        available = status.get("numberAvailable", 0)
        # Nobody replaces a pod before somebody deletes it: who waited for that would wait for ever.
        if spec.get("updateStrategy", {}).get("type") == "OnDelete":
            return desired, desired, available
        return desired, status.get("updatedNumberScheduled", 0), available
    # Kubernetes' own default; 0 replicas are rolled out at once.
    desired = spec.get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if kind == "StatefulSet":
        strategy = spec.get("updateStrategy", {})
        kept = strategy.get("rollingUpdate", {}).get("partition", 0)
        on_delete = strategy.get("type") == "OnDelete"
        # Below the partition, pods stay old on purpose.
        updated = desired if on_delete else min(desired, updated + kept)
    return desired, updated, available


def _split(
    workload: dict[str, Any], pods: list[dict[str, Any]], replica_sets: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tell a workload's pods of the newest revision from older ones that have not ended."""
    uid = workload["metadata"].get("uid", "")
    if workload["kind"] == "Deployment":
        owned = _owned(replica_sets, {uid})
        current = _annotation(workload, "deployment.kubernetes.io/revision")
        # By the revision, and not the newest ReplicaSet: going back reuses an old one.
        new_sets = {
            each["metadata"]["uid"]
            for each in owned
            if _annotation(each, "deployment.kubernetes.io/revision") == current
        }
        mine = _owned(pods, {each["metadata"]["uid"] for each in owned})
        new = _owned(mine, new_sets)
    else:
        mine = _owned(pods, {uid})
        revision = workload.get("status", {}).get("updateRevision")
        keeps_old = _keeps_old(workload)
        label = "controller-revision-hash"
        new = [
            pod
            for pod in mine
            if keeps_old or not revision or pod["metadata"].get("labels", {}).get(label) == revision
        ]
    names = {pod["metadata"]["name"] for pod in new}
    old = [
        pod
        for pod in mine
        if pod["metadata"]["name"] not in names
        # An evicted pod stays until somebody deletes it.
        and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    ]
    return new, old


def _keeps_old(workload: dict[str, Any]) -> bool:
    strategy = workload["spec"].get("updateStrategy", {})
    partition = strategy.get("rollingUpdate", {}).get("partition", 0)
    return bool(partition) or strategy.get("type") == "OnDelete"


def _owned(objects: list[dict[str, Any]], owners: set[str]) -> list[dict[str, Any]]:
    return [
        each
        for each in objects
        if any(ref["uid"] in owners for ref in each["metadata"].get("ownerReferences", []))
    ]


def _annotation(thing: dict[str, Any], key: str) -> str:
    return str(thing["metadata"].get("annotations", {}).get(key, ""))
