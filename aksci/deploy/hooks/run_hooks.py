"""Steps before and after a rollout: a Kubernetes Job that is run once, and an HTTP request."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import ConfigError, Interrupted, StepError
from aksci.core.text import sanitise
from aksci.deploy.kubernetes.cluster import Conflict
from aksci.deploy.tracking.workload_health import Patience, pod_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.config.deploy_models import HttpStep, JobStep, Step
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.opened_release import OpenedRelease
    from aksci.oci.references import ImageRef

__all__ = ["StepResult", "job_manifest", "run_step"]

_POLL = 0.5
_LINES = 20
_KEEP = 2
_SERVICE, _STEP = "aksci.dev/service", "aksci.dev/step"


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step did."""

    name: str
    action: Literal["ran", "attached", "unchanged"]
    """``attached``: an earlier run had started it; ``unchanged``: it had passed before with the
    same content.
    """
    seconds: float


def run_step(
    cluster: Cluster,
    step: Step,
    *,
    service: str,
    release: OpenedRelease,
    say: Callable[[str], None],
    check: Callable[[], None],
    again: bool = False,
) -> StepResult:
    """Run one step to its end.

    :param again: run it even if it has passed before with the same content.
    :raises StepError: it failed or timed out; the message ends with its log.
    :raises ConfigError: the release has no image of the step's.
    """
    started = time.monotonic()
    action: Literal["ran", "attached", "unchanged"] = "ran"
    if step.kind == "job":
        image = release.images.get(step.image)
        if image is None:
            raise ConfigError(
                f"services.{service}: step {step.name!r} runs the image {step.image!r}, "
                "which the release does not have."
            )
        manifest = job_manifest(step, service=service, image=image, release=release.short)
        action = _JobRun(
            cluster=cluster, step=step, manifest=manifest, say=say, check=check, again=again
        ).run()
    else:
        _ask(cluster, step, service=service, say=say, check=check)
    seconds = time.monotonic() - started
    say(f"step {step.name}: {action} ({seconds:.1f} s)")
    return StepResult(name=step.name, action=action, seconds=seconds)


def job_manifest(step: JobStep, *, service: str, image: ImageRef, release: str) -> dict[str, Any]:
    """Build the step's Job, named by its own content: what has passed once is never run again.

    It satisfies the "restricted" Pod Security Standard, and is kept after it has ended (no TTL): it
    is the memory.
    """
    pod = {
        # A step talks to its database, not to the API server.
        "automountServiceAccountToken": False,
        "containers": [_container(step, image)],
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    labels = {_SERVICE: service, _STEP: step.name, "app.kubernetes.io/managed-by": "aksci"}
    spec = {
        # A migration that failed half way must not be tried again by itself.
        "backoffLimit": 0,
        # The cluster ends it even if we are killed.
        "activeDeadlineSeconds": step.timeout,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    # Of the whole specification: a new image, command or variable is another step.
    content = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:10]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            # 63 characters in all: its pods bear it as a label, with the hash whole.
            "name": f"{f'{service}-{step.name}'[:52].rstrip('-')}-{content}",
            "labels": labels,
            "annotations": {"aksci.dev/release": release, "aksci.dev/content": content},
        },
        "spec": spec,
    }


def _container(step: JobStep, image: ImageRef) -> dict[str, Any]:
    return {
        "name": "step",
        "image": str(image),
        "command": list(step.command),
        "args": list(step.args),
        "env": [{"name": key, "value": value} for key, value in sorted(step.env.items())],
        "envFrom": [{"secretRef": {"name": name}} for name in step.env_from_secrets],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # The log's end is in the pod's status then, where it outlives the container.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - inside the container
    }


@dataclass(kw_only=True)
class _JobRun:
    cluster: Cluster
    step: JobStep
    manifest: dict[str, Any]
    say: Callable[[str], None]
    check: Callable[[], None]
    again: bool
    _tail: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    _followers: dict[str, threading.Thread] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    def run(self) -> Literal["ran", "attached", "unchanged"]:
        action: Literal["ran", "attached"] = "attached"
        job = self.cluster.get("Job", self.name)
        if job is not None and _ended(job) == "Complete" and not _going(job) and not self.again:
            return "unchanged"
        # A Job can't be changed or started again (its template is immutable), only made anew.
        if job is not None and (_ended(job) or _going(job)):
            why = "the service is not well any more" if self.again else "it failed before"
            self.say(f"step {self.step.name}: the Job {self.name} is run again: {why}")
            self.cluster.delete("Job", self.name, wait=60)
            job = None
        if job is None:
            self.check()  # the lock may have been lost while the old Job went
            try:
                self.cluster.create("Job", self.manifest)
                action = "ran"
            except Conflict:
                pass  # our own request arrived, though its answer did not
        how = "started" if action == "ran" else "is running already"
        self.say(f"step {self.step.name}: Job {self.name} {how}")
        self._wait()
        self._remove_older()
        return action

    def _wait(self) -> None:
        # The Job's own deadline ends it; ours covers a controller that is away.
        deadline = time.monotonic() + self.step.timeout + 30
        faulty_since: dict[str, float] = {}
        while True:
            self.check()
            pods = self._pods()
            for pod in pods:
                self._follow(pod)
            job = self.cluster.get("Job", self.name)
            # Somebody deleted it: nobody knows how it would have ended, so it did not pass.
            ended = _ended(job) if job else "Deleted"
            if ended == "Complete":
                self._join()
                return
            if ended:
                raise self._failure(ended, job, pods)
            # An image that can't be pulled would otherwise use up the whole deadline.
            self._fail_early(pods, faulty_since)
            if time.monotonic() > deadline:
                raise self._failure("TimedOut", job, pods)
            if self.cluster.halt.wait(_POLL):
                raise Interrupted(
                    f"Stopped while the Job {self.name} runs; the next run takes it up again."
                )

    def _fail_early(self, pods: list[dict[str, Any]], since: dict[str, float]) -> None:
        for pod in pods:
            fault = pod_fault(pod, Patience())
            if fault is None:
                since.clear()
            elif (
                time.monotonic() - since.setdefault(fault.code, time.monotonic()) >= fault.patience
            ):
                error = self._failure(f"{fault.code}: {fault.message}", None, pods)
                # After the message was made: its pods, and their logs, go with it. Kept, it would
                # go on trying when we are gone.
                self.cluster.delete("Job", self.name)
                raise error

    def _follow(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        states = pod.get("status", {}).get("containerStatuses", [])
        started = any(set(each.get("state", {})) & {"running", "terminated"} for each in states)
        # Before it runs, the API server has no log to follow.
        if started and name not in self._followers:
            thread = threading.Thread(target=self._narrate, args=(name,), daemon=True)
            self._followers[name] = thread
            thread.start()

    def _narrate(self, pod: str) -> None:
        for line in self.cluster.follow_logs(pod, "step"):
            clean = sanitise(line)
            self._tail.append(clean)
            self.say(f"{self.step.name} | {clean}")

    def _join(self) -> None:
        for thread in self._followers.values():
            # Narration: a connection that hangs must not hold the deployment.
            thread.join(timeout=2)

    def _pods(self) -> list[dict[str, Any]]:
        return self.cluster.list("Pod", labels=f"batch.kubernetes.io/job-name={self.name}")

    def _failure(
        self, why: str, job: dict[str, Any] | None, pods: list[dict[str, Any]]
    ) -> StepError:
        self._join()
        conditions = (job or {}).get("status", {}).get("conditions", [])
        failed: dict[str, Any] = next((c for c in conditions if c["type"] == "Failed"), {})
        reason = failed.get("reason") or why
        if reason == "DeadlineExceeded":
            reason = f"it did not end within {self.step.timeout} s"
        codes = [code for pod in pods for code in _exit_codes(pod)]
        exited = f", exit code {codes[-1]}" if codes else ""
        message = f"Step {self.step.name!r} failed: Job {self.name}: {sanitise(reason)}{exited}."
        logs = [line for line in self._tail if line.strip()]
        # Nobody could follow it, as it ended between two looks.
        if not logs and pods:
            text = self.cluster.logs(pods[-1]["metadata"]["name"], "step", lines=_LINES)
            logs = sanitise(text).splitlines()
        if logs:
            message += "\n\n" + "\n".join(f"  {line}" for line in logs)
        return StepError(
            message,
            hint=f"kubectl -n {self.cluster.namespace} logs job/{self.name} shows the whole log; "
            "a further run starts the step again.",
        )

    def _remove_older(self) -> None:
        labels = self.manifest["metadata"]["labels"]
        selector = f"{_SERVICE}={labels[_SERVICE]},{_STEP}={labels[_STEP]}"
        # The newest stay: they say what need not be run again, also after going back to the release
        # before.
        jobs = [each for each in self.cluster.list("Job", labels=selector) if _ended(each)]
        jobs.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
        for job in jobs[_KEEP:]:
            self.cluster.delete("Job", job["metadata"]["name"])


def _ended(job: dict[str, Any]) -> str:
    """Return ``Complete``, ``Failed`` or an empty string."""
    conditions = job.get("status", {}).get("conditions", [])
    true = {each["type"] for each in conditions if each["status"] == "True"}
    return next((word for word in ("Complete", "Failed") if word in true), "")


def _going(job: dict[str, Any]) -> bool:
    return "deletionTimestamp" in job["metadata"]


def _exit_codes(pod: dict[str, Any]) -> list[int]:
    states = [each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])]
    return [each["terminated"]["exitCode"] for each in states if "terminated" in each]


def _ask(
    cluster: Cluster,
    step: HttpStep,
    *,
    service: str,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    deadline = time.monotonic() + step.timeout
    what = f"http://{step.service}:{step.port}{step.path}"
    shown = ""
    while True:
        check()
        # At least a second: an answer that comes at the very end still counts.
        left = max(1.0, deadline - time.monotonic())
        status, body = cluster.ask_service(
            step.service, step.port, step.path, timeout=min(10, left)
        )
        right = status == step.expect_status
        if right and (step.expect_text is None or step.expect_text in body):
            return
        answer = f"{status}" + (f" without {step.expect_text!r}" if right else "")
        # Only what is new: minutes of one line would hide the rest.
        if answer != shown:
            say(f"step {step.name}: {what} answers {answer}; waiting")
            shown = answer
        if time.monotonic() > deadline:
            raise StepError(
                f"Step {step.name!r} of {service} failed: {what}, asked through the API server, "
                f"did not answer {step.expect_status}"
                + (f" with {step.expect_text!r}" if step.expect_text else "")
                + f" within {step.timeout} s. Its last answer: {status}: {sanitise(body)[:300]}",
                hint=f"kubectl -n {cluster.namespace} get endpointslices shows what answers there.",
            )
        if cluster.halt.wait(_POLL):
            raise Interrupted(f"Stopped during step {step.name!r}.")
