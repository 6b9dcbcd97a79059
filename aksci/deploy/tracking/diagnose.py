"""Say why a rollout failed, while the evidence is still there: before anything is rolled back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aksci.core.text import one_line, sanitise

if TYPE_CHECKING:
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.tracking.track_rollout import RolloutOutcome
    from aksci.deploy.tracking.workload_health import Fault

__all__ = ["Diagnosis", "diagnose", "refine"]

_LINES = 20
_EVENTS = 8

_SUGGESTIONS = {
    "ADMISSION": "an admission policy refuses the pod: correct the chart as the message says.",
    "CONFIG_ERROR": "create in this namespace what the message names (or name a numeric user).",
    "CRASH_LOOP": "the process itself ends: its log is above.",
    "IMAGE_PULL": "kubectl describe pod shows the registry's whole answer.",
    "IMAGE_PULL_DENIED": "let the nodes pull; for AKS: az aks update --attach-acr.",
    "IMAGE_PULL_NOT_FOUND": "the nodes' registry lacks the digest: never pushed, or purged?",
    "IMAGE_PULL_PLATFORM": "build the image for the nodes' platform: 'platforms' in aksci.toml.",
    "IMAGE_PULL_UNREACHABLE": "check the registry's name, DNS and certificate from a node.",
    "JOB_FAILED": "the Job's last log lines are above.",
    "NO_PROGRESS": "the Deployment made no progress for its progressDeadlineSeconds.",
    "OOM": "raise resources.limits.memory, or find out what uses it.",
    "PAUSED": "kubectl rollout resume deployment/NAME.",
    "PROBE_FAILING": "compare the probe's path, port and delays with the service.",
    "QUOTA": "raise the namespace's ResourceQuota, or lower requests and limits.",
    "START_ERROR": "check the container's command, its entrypoint and the image's platform.",
    "TARGET": "its target says what is wrong, above.",
    "TIMEOUT": "raise 'timeout' of the service in aksci.toml if it only needs longer.",
    "UNSCHEDULABLE": "lower requests, add nodes, or correct selectors and tolerations.",
}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The root cause of one failed rollout, with its evidence, sanitised."""

    service: str
    workload: str
    fault: Fault
    events: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    previous_logs: tuple[str, ...] = ()
    """Of the container's run before, when it has crashed and the kubelet still has it."""

    @property
    def suggestion(self) -> str:
        """What to do about it."""
        return _SUGGESTIONS.get(self.fault.code, "kubectl describe shows more.")

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "service": self.service,
            "workload": self.workload,
            "code": self.fault.code,
            "message": self.fault.message,
            "pod": self.fault.pod,
            "container": self.fault.container,
            "exitCode": self.fault.exit_code,
            "events": list(self.events),
            "logs": list(self.logs),
            "previousLogs": list(self.previous_logs),
            "suggestion": self.suggestion,
        }

    def text(self) -> str:
        """Return it for people, over several lines."""
        fault = self.fault
        lines = [f"{self.service}: {self.workload} failed: {fault.code}: {fault.message}"]
        if fault.pod:
            lines.append(
                f"  pod {fault.pod}" + (f", container {fault.container}" * bool(fault.container))
            )
        before = () if self.previous_logs == self.logs else self.previous_logs
        blocks = (("events", self.events), ("log of the run before", before), ("log", self.logs))
        for title, block in blocks:
            if block:
                lines += [f"  {title}:", *(f"    {line}" for line in block)]
        return "\n".join(lines)


def diagnose(cluster: Cluster, service: str, outcome: RolloutOutcome) -> Diagnosis:
    """Gather the evidence for a failed rollout's first fault."""
    if outcome.fault is None:
        msg = "a complete rollout has nothing to diagnose"
        raise ValueError(msg)
    workload = outcome.workload
    pods = _pods_of(cluster, workload)
    # All events: a quota's is about the ReplicaSet, whose name only begins like the workload's.
    fault = refine(outcome.fault, workload, pods, cluster.list("Event"))
    logs = previous = ""
    # Both logs: of a container that has crashed, the kubelet has started another one already.
    if fault.pod and fault.container:
        logs = cluster.logs(fault.pod, fault.container, lines=_LINES)
        previous = cluster.logs(fault.pod, fault.container, previous=True, lines=_LINES)
    names = {workload.partition("/")[2], fault.pod} - {""}
    return Diagnosis(
        service=service,
        workload=workload,
        fault=replace(fault, message=sanitise(fault.message)),
        events=_events_about(cluster, names),
        logs=tuple(sanitise(logs).splitlines()),
        previous_logs=tuple(sanitise(previous).splitlines()),
    )


def refine(
    fault: Fault, workload: str, pods: list[dict[str, Any]], events: list[dict[str, Any]]
) -> Fault:
    """Look behind the symptom: a time-out or a crash may be a probe's doing, or a quota's."""
    for event in sorted(events, key=_when, reverse=True):
        about = event.get("involvedObject", {}).get("name", "")
        message = event.get("message", "")
        # Newest first: an old failure of a probe may long be over.
        if event.get("reason") == "Unhealthy" and _is_probe(fault, about, message, pods):
            container = fault.container or _first_container(pods, about)
            text = f"{fault.message}; {message}" if fault.code == "CRASH_LOOP" else message
            return replace(
                fault, code="PROBE_FAILING", message=text.strip(), pod=about, container=container
            )
        mine = about.startswith(workload.partition("/")[2])
        if fault.code == "TIMEOUT" and event.get("reason") == "FailedCreate" and mine and not pods:
            code = "QUOTA" if "exceeded quota" in message else "ADMISSION"
            return replace(fault, code=code, message=message)
    if not fault.pod and pods:
        name = pods[-1]["metadata"]["name"]
        return replace(fault, pod=name, container=_first_container(pods, name))
    return fault


def _is_probe(fault: Fault, pod: str, message: str, pods: list[dict[str, Any]]) -> bool:
    if fault.code in {"TIMEOUT", "NO_PROGRESS"}:
        return any(each["metadata"]["name"] == pod and not _ready(each) for each in pods)
    # The kubelet ends a container whose liveness or startup probe fails with SIGTERM or SIGKILL.
    killed = fault.code == "CRASH_LOOP" and fault.exit_code in {0, 2, 137, 143}
    return killed and pod == fault.pod and not message.startswith("Readiness")


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _first_container(pods: list[dict[str, Any]], name: str) -> str:
    pod = next((each for each in pods if each["metadata"]["name"] == name), None)
    if pod is None:
        return ""
    states = pod.get("status", {}).get("containerStatuses", [])
    waiting = next((each["name"] for each in states if not each.get("ready")), "")
    # The one that is not ready is the one to look at; sidecars are well.
    return str(waiting or pod["spec"]["containers"][0]["name"])


def _pods_of(cluster: Cluster, workload: str) -> list[dict[str, Any]]:
    kind, _, name = workload.partition("/")
    thing = cluster.get(kind, name) if kind and name else None
    labels = ((thing or {}).get("spec", {}).get("selector") or {}).get("matchLabels", {})
    if not labels:
        return []
    pods = cluster.list("Pod", labels=",".join(f"{key}={value}" for key, value in labels.items()))
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _events_about(cluster: Cluster, names: set[str]) -> tuple[str, ...]:
    found = [
        event
        for name in sorted(names)
        for event in cluster.list("Event", fields=f"involvedObject.name={name},type=Warning")
    ]
    lines = [
        f"{event.get('reason', '')}: {event.get('message', '')}".strip()
        for event in sorted(found, key=_when)
    ]
    # The kubelet repeats events; the newest of what is left say the most.
    unique = list(dict.fromkeys(one_line(line) for line in lines))
    return tuple(unique[-_EVENTS:])


def _when(event: dict[str, Any]) -> str:
    return str(
        # events.k8s.io/v1 leaves lastTimestamp empty.
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )
