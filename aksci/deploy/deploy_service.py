"""One service from its pre steps to its post steps, and the way back when it fails."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import (
    AksciError,
    DeployError,
    Interrupted,
    LockError,
    RolloutError,
    StepError,
)
from aksci.deploy.hooks.run_hooks import StepResult, run_step
from aksci.deploy.kubernetes.manifest_images import images_of
from aksci.deploy.state.deploy_record import RecordKeeper, ServiceRecord
from aksci.deploy.tracking.diagnose import Diagnosis, diagnose
from aksci.deploy.tracking.track_rollout import track, workloads_of
from aksci.deploy.tracking.workload_health import Fault, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aksci.config.deploy_models import Step
    from aksci.core.reporting import Reporter
    from aksci.deploy.deploy_plan import ServicePlan
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.opened_release import OpenedRelease
    from aksci.deploy.targets.deploy_target import Target

__all__ = ["RolloutTools", "ServiceResult", "roll_out"]

_BACK = 120  # seconds that a rolled back service gets to be well again, at most


@dataclass(frozen=True, kw_only=True)
class RolloutTools:
    """What a rollout works with."""

    cluster: Cluster
    target: Target
    reporter: Reporter
    check: Callable[[], None]
    """Raises when we may not go on, because the lock was lost."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, kw_only=True)
class ServiceResult:
    """What was done with one service."""

    service: str
    action: str
    revision: int
    """The target's, afterwards."""
    steps: tuple[StepResult, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def roll_out(
    plan: ServicePlan, release: OpenedRelease, tools: RolloutTools, records: RecordKeeper
) -> ServiceResult:
    """Do what the plan says for one service; when it fails, put this service back, and only it.

    :raises StepError: a step failed. After a failed pre step nothing was touched.
    :raises RolloutError: it did not become healthy; the message holds the diagnosis and what
        was rolled back.
    :raises DeployError: Helm or Kubernetes refused it.
    """
    run = _Rollout(plan, release, tools, records)
    started = time.monotonic()
    if plan.action == "skip":
        revision = plan.state.latest.number if plan.state.latest else 0
        return ServiceResult(
            service=plan.name, action="skip", revision=revision, steps=(), seconds=0
        )
    tools.check()
    # Before Helm: new pods may need what a migration has made, and a failure leaves the old ones
    # untouched.
    steps = run.steps(plan.config.pre) if plan.pre_steps else ()
    revision = run.apply()
    steps += run.finish()
    # Only now: what a rollback goes back to has passed its post steps, too.
    run.remember(revision)
    return ServiceResult(
        service=plan.name,
        action=plan.action,
        revision=revision,
        steps=steps,
        seconds=time.monotonic() - started,
    )


class _Rollout:
    def __init__(
        self, plan: ServicePlan, release: OpenedRelease, tools: RolloutTools, records: RecordKeeper
    ) -> None:
        self.plan = plan
        self.release = release
        self.tools = tools
        self.records = records
        self.name = plan.name
        self.workloads: tuple[str, ...] = ()
        self.images: dict[str, dict[str, str]] = {}

    def say(self, text: str) -> None:
        self.tools.reporter.line(f"{self.name}: {text}")

    def steps(self, steps: Sequence[Step]) -> tuple[StepResult, ...]:
        return tuple(
            run_step(
                self.tools.cluster,
                step,
                service=self.name,
                release=self.release,
                say=self.say,
                check=self.tools.check,
                # A step is skipped that has passed with this content, unless what it made may be
                # gone.
                again=self.plan.lost,
            )
            for step in steps
        )

    def apply(self) -> int:
        """Bring the target to what is desired, and return its revision."""
        if self.plan.action == "resume":
            self.say("was applied by an earlier run; following its rollout")
            return self._revision()
        self._repair()
        # That took as long as Helm needs: the lock may be lost by now, or Ctrl-C have come.
        self.tools.check()
        self._go_on()
        # Read again: the repair has made revisions of its own.
        number = self._revision() + 1
        self.say(f"{self.plan.action} (revision {number})")
        try:
            change = self.plan.change(
                number=number, release=self.release.short, allowed=self.release.allowed
            )
            self.tools.target.apply(self.tools.cluster, change)
        except DeployError as error:
            self._go_on()
            # Asking waits for an API server that was away for a moment.
            begun = self._revision() >= number
            end = self._undo() if begun else "Nothing was changed."
            raise DeployError(f"{error.message}\n\n{end}", hint=error.hint) from None
        return number

    def finish(self) -> tuple[StepResult, ...]:
        """Wait for the rollout and run the post steps."""
        diagnosis = self._follow(self.plan.config.timeout)
        # It is diagnosed by now: going back deletes the pods that show the cause.
        if diagnosis:
            self.say(f"failed: {diagnosis.fault.code}: {diagnosis.fault.message}")
            raise RolloutError(f"{diagnosis.text()}\n\n{self._undo()}", hint=diagnosis.suggestion)
        try:
            return self.steps(self.plan.config.post)
        except StepError as error:
            # A post step tells whether the service works: one that does not is as bad as one that
            # does not start.
            raise StepError(f"{error.message}\n\n{self._undo()}", hint=error.hint) from None

    def remember(self, revision: int) -> None:
        service = ServiceRecord(
            desired=self.plan.inputs.desired,
            revision=revision,
            release=self.release.reference,
            inputs=asdict(self.plan.inputs),
            workloads=self.workloads,
            images=self.images,
        )
        self.records.update(lambda record: record.with_service(self.name, service))

    def _follow(self, timeout: float) -> Diagnosis | None:
        manifest = self._objects()
        self.workloads = workloads_of(manifest)
        self.images = {
            name: dict(images_of(each)) for each in manifest for name in workloads_of([each])
        }
        outcome = track(
            self.tools.cluster,
            self.workloads,
            timeout=timeout,
            say=self.say,
            check=self.tools.check,
            patience=self.tools.patience,
        )
        if outcome.complete and (wrong := self._status(timeout - outcome.seconds)):
            return Diagnosis(
                service=self.name, workload="its target", fault=Fault(code="TARGET", message=wrong)
            )
        if outcome.complete:
            self.say(f"rolled out ({outcome.seconds:.1f} s)")
            return None
        return diagnose(self.tools.cluster, self.name, outcome)

    def _repair(self) -> None:
        """Free a service that a killed Helm left pending: no upgrade is possible before."""
        latest = self.plan.state.latest
        if latest is None or not latest.pending:
            return
        # Helm's word before ours: what is deployed runs now, so going there changes nothing that
        # works.
        deployed = [each.number for each in self.plan.state.revisions if each.status == "deployed"]
        target = deployed[-1] if deployed else self.plan.rollback_to
        if target is None:
            self.say(f"revision {latest.number} is {latest.status}: removing what it left behind")
            self._remove()
        else:
            self.say(
                f"revision {latest.number} is {latest.status}: back to revision {target} first"
            )
            self._restore(target)

    def _undo(self) -> str:
        """Put the service back, and say in one sentence what it is now."""
        self._go_on()
        target = self.plan.rollback_to
        try:
            self.tools.check()
            if target is not None:
                return self._roll_back(target)
            # There is nothing to go back to; half an installation would be in the next one's way.
            if self.plan.state.latest is None or self.plan.action == "install":
                self._remove()
                return f"{self.name} had no earlier revision and was removed again."
        except (Interrupted, LockError):
            # Whoever has the lock now decides: a message that looks like a rollback's result would
            # hide that.
            raise
        except AksciError as error:
            # Told with the first error, which is the cause: it must not take its place.
            return f"{self.name} could not be put back: {error.message}"
        return f"No earlier revision of {self.name} is known to be good: it was left as it is."

    def _go_on(self) -> None:
        """Raise after Ctrl-C: what fails then, has failed because we stopped it."""
        if self.tools.cluster.halt.is_set():
            raise Interrupted("Stopped during the deployment; the next run takes it up again.")

    def _roll_back(self, target: int) -> str:
        self.say(f"rolling back to revision {target}")
        self._restore(target)
        revision, good = self._revision(), self.plan.good
        # The same content has a new number now: the next plan would otherwise find a revision
        # that nobody has recorded, and act on it.
        if good:
            same = ServiceRecord(**{**_fields(good), "revision": revision})
            self.records.update(lambda record: record.with_service(self.name, same))
        self._free_stateful_sets()
        diagnosis = self._follow(min(self.plan.config.timeout, _BACK))
        where = f"{self.name} was rolled back to revision {target} (as revision {revision})"
        if diagnosis:
            fault = diagnosis.fault
            return f"{where}, which is not healthy either: {fault.code}: {fault.message}"
        return f"{where} and is healthy."

    def _free_stateful_sets(self) -> None:
        """Delete the broken pods of rolled back StatefulSets: their controller would wait for ever.

        Source: Kubernetes documentation, StatefulSets, "Forced rollback".
        """
        cluster = self.tools.cluster
        sets = [each for each in self._objects() if each.get("kind") == "StatefulSet"]
        for each in sets:
            found = cluster.get("StatefulSet", each["metadata"]["name"]) or {"metadata": {}}
            for pod in cluster.list("Pod"):
                owners = {ref["uid"] for ref in pod["metadata"].get("ownerReferences", [])}
                conditions = pod.get("status", {}).get("conditions", [])
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
                # By uid: a set of the same name may have been made anew. Ready ones are left to the
                # controller.
                if found["metadata"].get("uid") in owners and not ready:
                    cluster.delete("Pod", pod["metadata"]["name"])

    def _status(self, timeout: float) -> str:
        left = max(timeout, 1.0)
        return self.tools.target.status(self.tools.cluster, self.name, timeout=left)

    def _objects(self) -> list[dict[str, Any]]:
        return [dict(each) for each in self.tools.target.objects(self.tools.cluster, self.name)]

    def _restore(self, number: int) -> None:
        timeout = self.plan.config.timeout
        self.tools.target.restore(self.tools.cluster, self.name, number, timeout=timeout)

    def _remove(self) -> None:
        timeout = self.plan.config.timeout
        self.tools.target.remove(self.tools.cluster, self.name, timeout=timeout)

    def _revision(self) -> int:
        # Asked for anew, and not what was said: that is lost when the target is killed.
        state = self.tools.target.observe(self.tools.cluster).get(self.name)
        return state.latest.number if state and state.latest else 0


def _fields(record: ServiceRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
