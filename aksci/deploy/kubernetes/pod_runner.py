"""Run images in the cluster for their checks: the ``ImageRunner`` of a cluster."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ClusterError, DeployError, Interrupted, RegistryError
from aksci.core.text import sanitise
from aksci.deploy.tracking.workload_health import Patience, pod_fault
from aksci.images.validate.image_runner import (
    LOG_LINES,
    MEMORY,
    ROOT_CAPABILITIES,
    SETTLE,
    CheckOutcome,
    HttpAnswer,
    end_of,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.images.validate.checks import Check
    from aksci.images.validate.image_runner import CheckTask

__all__ = ["PodRunner", "pod_manifest"]

_ARRIVAL = 300
"""Seconds for a node to be found and the image to be pulled."""
_POLL = 0.25
_PURPOSE = "aksci.dev/purpose"
# containerd's word and Docker's: the runtime could not start the process at all.
_REFUSED = frozenset({"StartError", "ContainerCannotRun"})
_KILOBYTES = 2**10


class PodRunner:
    """A pod for each image, in one namespace; always removed.

    A run that is killed leaves pods whose deadline ends them; the next run removes them.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.name = f"kubernetes {cluster.kube_version}"
        self._platforms = cluster.node_platforms()
        self._sweep()

    def platforms(self) -> tuple[str, ...]:
        """Return the platforms of the nodes; empty where we may not list those."""
        return self._platforms

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        """Run an image until its check is decided, and remove the pod in any case."""
        with self._pod("validate", task, halt) as watch:
            return watch.run()

    @contextlib.contextmanager
    def serve(self, task: CheckTask, port: int, halt: threading.Event) -> Iterator[_ServedPod]:
        """Start an image in a pod that the API server passes requests to; remove it."""
        with self._pod("serve", task, halt) as watch:
            yield _ServedPod(self._cluster, watch, port)

    def close(self) -> None:
        """Give the connections back."""
        self._cluster.close()

    @contextlib.contextmanager
    def _pod(self, purpose: str, task: CheckTask, halt: threading.Event) -> Iterator[_Watch]:
        # Random: several runs may validate one image in one namespace.
        name = f"{purpose}-{task.ref.digest[7:19]}-{uuid.uuid4().hex[:8]}"
        try:
            self._cluster.create("Pod", pod_manifest(task, name))
            yield _Watch(self._cluster, self.name, task, name, halt)
        finally:
            with contextlib.suppress(ClusterError):  # away: the pod's own deadline ends it
                self._cluster.delete("Pod", name)

    def _sweep(self) -> None:
        """Remove pods that have outlived their deadline."""
        labels = f"{_PURPOSE}=validate"
        for pod in self._cluster.list("Pod", labels=labels, fields="status.phase=Failed"):
            if pod["status"].get("reason") == "DeadlineExceeded":
                self._cluster.delete("Pod", pod["metadata"]["name"])


def pod_manifest(task: CheckTask, name: str) -> dict[str, Any]:
    """Build the pod: no token, no host's anything, no privileges, limited, with a deadline.

    It satisfies the Pod Security Standard "baseline", and "restricted" where the image's USER is a
    number other than 0.
    """
    check = task.check
    spec: dict[str, Any] = {
        "activeDeadlineSeconds": int(check.timeout) + 2 * _ARRIVAL,
        "automountServiceAccountToken": False,
        "containers": [_container(task)],
        # The variables of the namespace's Services would be in the image's environment, and differ
        # from one cluster to another.
        "enableServiceLinks": False,
        "nodeSelector": _selector(task.platform),
        "restartPolicy": "Never",
        "securityContext": {
            "seccompProfile": {"type": "RuntimeDefault"},
            **({"runAsNonRoot": True} if check.unprivileged else {}),
        },
        # Nothing in it is worth waiting for.
        "terminationGracePeriodSeconds": 1,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "aksci",
                # By this label the next run finds what a killed one left.
                _PURPOSE: "validate",
                "aksci.dev/run": re.sub(r"[^A-Za-z0-9._-]", "-", task.run)[:63].strip("-._"),
            },
            "annotations": {"aksci.dev/image": task.image},
        },
        "spec": spec,
    }


def _container(task: CheckTask) -> dict[str, Any]:
    check = task.check
    container: dict[str, Any] = {
        "name": "image",
        "image": str(task.ref),
        # By digest, what is there is what is meant.
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": _plain(value)} for key, value in sorted(check.env.items())],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {
                "cpu": "1",
                "memory": f"{MEMORY // _KILOBYTES}Ki",
                "ephemeral-storage": "2Gi",
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {
                "drop": ["ALL"],
                # An image that starts as root needs some, to change to the user that it serves as.
                **({} if check.unprivileged else {"add": list(ROOT_CAPABILITIES)}),
            },
        },
    }
    if check.kind == "command":
        container["command"] = [_plain(word) for word in check.argv]
    if check.probe:
        container["startupProbe"] = {
            "exec": {"command": [_plain(word) for word in check.probe]},
            "periodSeconds": 1,
            "timeoutSeconds": max(1, round(check.probe_timeout)),
            "failureThreshold": int(check.timeout) + _ARRIVAL,  # our own time is over first
        }
    return container


@dataclass(kw_only=True)
class _State:
    """What a pod's status says about its one container."""

    running: bool = False
    healthy: bool = False
    ended: Mapping[str, Any] | None = None
    refusal: str = ""


class _Watch:
    """Follow one pod to its end."""

    def __init__(
        self, cluster: Cluster, engine: str, task: CheckTask, name: str, halt: threading.Event
    ) -> None:
        self._cluster = cluster
        self._engine = engine
        self._task = task
        self.pod = name
        self._halt = halt

    def begin(self) -> CheckOutcome | None:
        """Wait until the container runs; return what became of it where it does not."""
        return self._over(self._begun())

    def ended(self) -> CheckOutcome | None:
        """Return what has become of the container, or None while it runs."""
        return self._over(_state(self._pod()))

    def _over(self, state: _State) -> CheckOutcome | None:
        over = state.ended or state.refusal
        return self._outcome(self._task.check, state, 0) if over else None

    def run(self) -> CheckOutcome:
        check = self._task.check
        # An image without a check has passed when it still runs after a while.
        limit = min(SETTLE, check.timeout) if check.kind == "start" else check.timeout
        # Time counts from here: pulling is the registry's, not the image's.
        state = self._begun()
        begun = time.monotonic()
        while True:
            seconds = time.monotonic() - begun
            if state.ended or state.refusal or state.healthy or seconds >= limit:
                return self._outcome(check, state, seconds)
            self._wait(min(_POLL, limit - seconds))
            state = _state(self._pod())

    def _begun(self) -> _State:
        """Wait until the container runs, has ended, or never will."""
        deadline = time.monotonic() + _ARRIVAL
        since: dict[str, float] = {}
        while True:
            pod = self._pod()
            state = _state(pod)
            if state.running or state.ended or state.refusal:
                return state
            fault = pod_fault(pod, Patience())
            now = time.monotonic()
            # The codes that the rollout knows, with the same patience: the first failed pull may
            # pass.
            if fault and now - since.setdefault(fault.code, now) >= fault.patience:
                # Not the image's fault: it must not be written down as one that does not run.
                if fault.code.startswith("IMAGE_PULL"):
                    raise RegistryError(
                        f"The cluster can't pull {self._task.ref}: {sanitise(fault.message)}",
                        hint="the nodes need access to the registry; for ACR: az aks update "
                        "--attach-acr.",
                    )
                if fault.code in {"START_ERROR", "CONFIG_ERROR"}:
                    return _State(refusal=sanitise(fault.message))
                raise ClusterError(
                    f"{self._task.image} could not be run in the cluster: {fault.code}: "
                    f"{sanitise(fault.message)}"
                )
            if now > deadline:
                raise ClusterError(
                    f"{self._task.image}: its pod {self.pod} did not start within {_ARRIVAL} s.",
                    hint=f"kubectl -n {self._cluster.namespace} get events",
                )
            self._wait(_POLL)

    def _pod(self) -> dict[str, Any]:
        pod = self._cluster.get("Pod", self.pod)
        status = (pod or {}).get("status", {})
        # A pod that its own container ended has no reason; the container's state has it.
        if pod is None or (status.get("phase") == "Failed" and status.get("reason")):
            why = status.get("reason") or "deleted"  # Evicted, Preempting, NodeLost…
            raise ClusterError(
                f"{self._task.image}: its pod {self.pod} was ended from outside: {why}.",
                hint="run again.",
            )
        return pod

    def _wait(self, seconds: float) -> None:
        if self._halt.wait(max(0.0, seconds)):
            raise Interrupted(f"Stopped while {self._task.image} was validated.")

    def _outcome(self, check: Check, state: _State, seconds: float) -> CheckOutcome:
        if state.refusal:
            return CheckOutcome(engine=self._engine, started=False, refusal=state.refusal)
        # Before the pod is deleted: the kubelet removes the log with it.
        log = self._cluster.logs(self.pod, "image", lines=LOG_LINES)
        return CheckOutcome(
            engine=self._engine,
            started=True,
            exit_code=int(state.ended["exitCode"]) if state.ended else None,
            healthy=state.healthy and not state.ended,
            out_of_memory=(state.ended or {}).get("reason") == "OOMKilled",
            probe_output="" if state.healthy or not check.probe else self._last_attempt(),
            log=end_of(log),
            # We look four times a second, and may have begun to look late.
            seconds=max(seconds, _duration(state.ended)),
        )

    def _last_attempt(self) -> str:
        with contextlib.suppress(DeployError):  # events are narration
            fields = f"involvedObject.name={self.pod},reason=Unhealthy"
            events = self._cluster.list("Event", fields=fields)
            if events:
                return end_of(str(events[-1].get("message", "")))
        return ""


class _ServedPod:
    """A pod with one port that the API server passes requests to."""

    def __init__(self, cluster: Cluster, watch: _Watch, port: int) -> None:
        self._cluster = cluster
        self._watch = watch
        self._port = port
        self._early = watch.begin()

    def ask(self, path: str, timeout: float) -> HttpAnswer:
        """Send GET to the port."""
        try:
            return HttpAnswer(
                *self._cluster.ask_pod(self._watch.pod, self._port, path, timeout=timeout)
            )
        except ClusterError as error:
            return HttpAnswer(0, error.message)

    def ended(self) -> CheckOutcome | None:
        """Return what has become of its process, or None while it runs."""
        return self._early or self._watch.ended()


def _state(pod: Mapping[str, Any]) -> _State:
    """Read the container's state (Kubernetes API reference, ContainerStatus)."""
    for each in pod.get("status", {}).get("containerStatuses", []):
        now = each.get("state", {})
        ended = now.get("terminated")
        if ended and ended.get("reason") in _REFUSED:
            return _State(refusal=sanitise(str(ended.get("message") or ended["reason"])).strip())
        has_probe = "startupProbe" in pod["spec"]["containers"][0]
        return _State(
            running="running" in now,
            healthy=has_probe and "running" in now and bool(each.get("started")),
            ended=ended,
        )
    return _State()


def _duration(ended: Mapping[str, Any] | None) -> float:
    """Return how long a container ran, in whole seconds as Kubernetes tells it."""
    try:
        begun, over = (
            datetime.fromisoformat((ended or {})[key]) for key in ("startedAt", "finishedAt")
        )
    except (KeyError, TypeError, ValueError):
        return 0
    return (over - begun).total_seconds()


def _selector(platform: str) -> dict[str, str]:
    system, _, architecture = platform.partition("/")
    selector = {"kubernetes.io/os": system or "linux"}
    if architecture:
        selector["kubernetes.io/arch"] = architecture
    return selector


def _plain(word: str) -> str:
    """Escape ``$``, so that Kubernetes expands no ``$(VARIABLE)`` in it."""
    return word.replace("$", "$$")
