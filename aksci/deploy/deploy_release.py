"""Apply a deployment plan: in the order of needs, a few services at once."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from aksci.core.errors import AksciError, ConfigError, Interrupted, RolloutError
from aksci.deploy.deploy_plan import DeployPlan, ServicePlan, plan_deploy, read_state
from aksci.deploy.deploy_plan_changes import require_same_plan
from aksci.deploy.deploy_service import RolloutTools, ServiceResult, roll_out
from aksci.deploy.kubernetes.manifest_images import check_images
from aksci.deploy.state.deploy_record import Deployed, DeployRecord, RecordKeeper
from aksci.deploy.state.lease import hold_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
    from aksci.core.reporting import Reporter
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.opened_release import OpenedRelease
    from aksci.deploy.targets.deploy_target import Target

__all__ = ["DeployResult", "apply_deploy", "deploy_release"]

_AT_ONCE = 4
_GRACE = 10.0  # seconds in which running services may notice a Ctrl-C by themselves


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """What a deployment did."""

    plan: DeployPlan
    services: tuple[ServiceResult, ...]
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether anything was done in the cluster."""
        return any(each.action != "skip" for each in self.services)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            **self.plan.as_json(),
            "changed": self.changed,
            "results": [each.as_json() for each in self.services],
            "seconds": round(self.seconds, 3),
        }


def deploy_release(
    release: OpenedRelease,
    services: Mapping[str, ServiceConfig],
    environment_name: str,
    environment: EnvironmentConfig,
    *,
    root: Path,
    cluster: Cluster,
    target: Target,
    reporter: Reporter,
    now: Callable[[], datetime],
    run_id: str,
    rollback: bool = False,
    planned: DeployPlan | None = None,
) -> DeployResult:
    """Plan and, unless there is nothing to do, lock, plan again under the lock, and apply.

    The release must have been verified by the caller. An unchanged environment is only read, never
    locked.

    :param planned: do just this; None: whatever is to be done.
    :raises PlanChangedError: ``planned`` does not hold any more; nothing was changed.
    """
    started = time.monotonic()

    def plan_now() -> DeployPlan:
        found = plan_deploy(
            release, services, environment_name, environment,
            read_state(cluster, target.observe),
            root=root, rollback=rollback,
        )  # fmt: skip
        if planned is not None:
            require_same_plan(planned, found)
        return found

    plan = plan_now()
    for note in plan.notes:
        reporter.warning(note)
    # Before the lock: a run that changes nothing must not wait for one that does.
    if plan.nothing_to_do:
        return _finish(plan, [_skipped(each) for each in plan.services], started)
    with hold_lock(cluster, run_id, say=reporter.line) as lock:
        # Another run may have deployed between our look and our lock.
        plan = plan_now()
        for line in plan.text().splitlines():
            reporter.line(line)
        tools = RolloutTools(cluster=cluster, target=target, reporter=reporter, check=lock.check)
        return apply_deploy(plan, tools, now=now, run_id=run_id)


def apply_deploy(
    plan: DeployPlan, tools: RolloutTools, *, now: Callable[[], datetime], run_id: str
) -> DeployResult:
    """Do what the plan says. The caller holds the environment's lock.

    Every chart that will change is rendered first, so that a wrong template, value or image stops
    us before any step runs.

    :raises TrustError: a chart runs an image that the release does not have.
    """
    started = time.monotonic()
    # Both before the record: what is refused here has not begun.
    _check_steps(plan)
    _check_charts(plan, tools)
    records = RecordKeeper(tools.cluster)
    reference = plan.release.reference
    # First of all: whoever comes after a kill must see that this release is there in part.
    if any(each.action != "skip" for each in plan.services):
        records.update(lambda record: replace(record, attempt=reference, rollback=plan.rollback))
    results = _Schedule(plan, tools, records).run()
    at = now().isoformat(timespec="seconds")
    entry = Deployed(release=reference, at=at, run=run_id, rollback=plan.rollback)
    records.update(lambda record: DeployRecord.finished(record, entry))
    return _finish(plan, results, started)


def _check_charts(plan: DeployPlan, tools: RolloutTools) -> None:
    allowed = plan.release.allowed
    for each in plan.services:
        # What was applied already was looked at then.
        if each.action in {"install", "upgrade"}:
            change = each.change(kube_version=tools.cluster.kube_version, allowed=allowed)
            check_images(each.name, tools.target.render(change), allowed)


def _check_steps(plan: DeployPlan) -> None:
    """Refuse a step whose image the release does not have, before any service is touched."""
    for each in plan.services:
        if each.action == "skip":
            continue
        for step in (*(each.config.pre if each.pre_steps else ()), *each.config.post):
            if step.kind == "job" and step.image not in plan.release.images:
                raise ConfigError(
                    f"services.{each.name}: step {step.name!r} runs the image {step.image!r}, "
                    f"which the release {plan.release.reference} does not have."
                )


class _Schedule:
    """A ready queue: a service starts as soon as all that it needs are done."""

    def __init__(self, plan: DeployPlan, tools: RolloutTools, records: RecordKeeper) -> None:
        self._plans = {each.name: each for each in plan.services}
        self._release = plan.release
        self._tools = tools
        self._records = records
        self._queue: TopologicalSorter[str] = TopologicalSorter(
            {
                # A rollback leaves services out that one of the releases does not know.
                name: [needed for needed in each.config.needs if needed in self._plans]
                for name, each in self._plans.items()
            }
        )
        self._running: dict[Future[ServiceResult], str] = {}
        self._results: dict[str, ServiceResult] = {}
        self._errors: dict[str, AksciError] = {}

    def run(self) -> list[ServiceResult]:
        self._queue.prepare()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="aksci-deploy")
        try:
            self._loop(pool)
        except BaseException:
            self._stop()
            raise
        finally:
            # Also after Ctrl-C: the lock is given back after this, and nobody may change anything
            # then.
            pool.shutdown(wait=True, cancel_futures=True)
        if self._errors:
            raise self._error()
        return [self._results[name] for name in self._plans]

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while self._queue.is_active():
            # After a failure nothing new starts. What runs goes on to its end: a service that is
            # left between two states is neither the old nor the new one.
            if not self._errors:
                for name in self._queue.get_ready():
                    future = pool.submit(
                        roll_out, self._plans[name], self._release, self._tools, self._records
                    )
                    self._running[future] = name
            if not self._running:
                return
            # Short waits: Python handles Ctrl-C between them.
            done, _ = wait(self._running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                self._collect(self._running.pop(future), future)

    def _collect(self, name: str, future: Future[ServiceResult]) -> None:
        try:
            self._results[name] = future.result()
            self._queue.done(name)
        except AksciError as error:
            # One service was stopped, so all are: its failure is no reason to go on with the
            # others.
            if isinstance(error, Interrupted):
                raise
            self._errors[name] = error

    def _stop(self) -> None:
        # What waits, ends by itself; the target gets a moment to finish what it writes, so that it
        # leaves no release pending.
        self._tools.cluster.halt.set()
        wait(self._running, timeout=_GRACE)
        self._tools.target.stop()

    def _error(self) -> AksciError:
        left = [name for name in self._plans if name not in {*self._results, *self._errors}]
        errors = list(self._errors.values())
        first = errors[0]
        note = f"\n\nNot started: {', '.join(left)}." if left else ""
        if len(errors) == 1:
            # The same error, for its type is the exit status.
            first.message += note
            return first
        return RolloutError("\n\n".join(each.message for each in errors) + note, hint=first.hint)


def _skipped(plan: ServicePlan) -> ServiceResult:
    revision = plan.state.latest.number if plan.state.latest else 0
    return ServiceResult(service=plan.name, action="skip", revision=revision, steps=(), seconds=0)


def _finish(plan: DeployPlan, results: list[ServiceResult], started: float) -> DeployResult:
    return DeployResult(plan=plan, services=tuple(results), seconds=time.monotonic() - started)
