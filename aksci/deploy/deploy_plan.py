"""What a deployment would do, service by service, and why: a pure value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import ConfigError
from aksci.deploy.kubernetes.manifest_images import images_of
from aksci.deploy.state.deploy_record import DeployRecord, ServiceRecord, read_record
from aksci.deploy.state.desired import DesiredInputs, gather_inputs, values_files
from aksci.deploy.targets.deploy_target import Change, ServiceState
from aksci.deploy.targets.helm import read_helm_states
from aksci.deploy.tracking.track_rollout import Snapshot, take_snapshot
from aksci.deploy.tracking.workload_health import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.opened_release import OpenedRelease, OpenedService

__all__ = ["ClusterState", "DeployPlan", "ServicePlan", "plan_deploy", "read_state"]

Action = Literal["install", "upgrade", "resume", "skip"]


@dataclass(frozen=True, kw_only=True)
class ClusterState:
    """What is in the namespace now."""

    applied: Mapping[str, ServiceState]
    """By the service's name, as its target tells it."""
    record: DeployRecord
    snapshot: Snapshot


@dataclass(frozen=True, kw_only=True)
class ServicePlan:
    """What will be done with one service."""

    service: OpenedService
    config: ServiceConfig
    action: Action
    """``resume``: its target has applied it already; the rollout and steps are left."""
    reasons: tuple[dict[str, str], ...]
    inputs: DesiredInputs
    values: tuple[Path, ...]
    pre_steps: bool
    """Whether steps before the rollout are run: not in a rollback, for migrations never go
    backwards.
    """
    state: ServiceState
    good: ServiceRecord | None
    """Its last good state."""

    @property
    def name(self) -> str:
        """The service's name, which is the Helm release's."""
        return self.service.name

    def change(
        self,
        *,
        number: int = 0,
        release: str = "",
        kube_version: str = "",
        allowed: frozenset[str] = frozenset(),
    ) -> Change:
        """Return what its target is asked for.

        :param number: the revision that it becomes.
        :param allowed: the images that it may run.
        """
        return Change(
            service=self.name,
            chart=self.service.chart,
            values=self.values,
            images=self.service.images,
            allowed=allowed,
            desired=self.inputs.desired,
            release=release,
            number=number,
            timeout=self.config.timeout,
            # Only where somebody has changed an image: otherwise a conflict shows another owner of
            # a field, which should be told.
            force=self.drifted,
            kube_version=kube_version,
        )

    @property
    def lost(self) -> bool:
        """Whether it had been well, as it is to be now, and is no longer.

        What its steps had prepared may be gone too: a database that was replaced has no schema.
        """
        return any(reason["code"] in {"MISSING", "UNHEALTHY"} for reason in self.reasons)

    @property
    def drifted(self) -> bool:
        """Whether somebody has set other images than Helm applied."""
        return any(reason["code"] == "DRIFT" for reason in self.reasons)

    @property
    def why(self) -> str:
        """The reasons, for people."""
        return "; ".join(map(_reason, self.reasons))

    @property
    def rollback_to(self) -> int | None:
        """The revision to go back to: one that is known to be good, or is not ours."""
        latest = self.state.latest
        if self.good and self.state.has(self.good.revision):
            # To resume the good revision itself: going back to it would be going nowhere.
            same = self.action == "resume" and latest and latest.number == self.good.revision
            return None if same else self.good.revision
        # Of our own revisions only a recorded one is known to be good; what others had deployed
        # before us was in use.
        foreign = [
            each.number
            for each in self.state.revisions
            if not each.release and each.status in {"deployed", "superseded"}
        ]
        return foreign[-1] if foreign else None


@dataclass(frozen=True, kw_only=True)
class DeployPlan:
    """What a deployment will do. Services are in an order that respects ``needs``."""

    environment: str
    namespace: str
    release: OpenedRelease
    services: tuple[ServicePlan, ...]
    notes: tuple[str, ...] = ()
    recorded: bool = False
    """Whether the cluster's record names this release already."""
    rollback: bool = False

    @property
    def nothing_to_do(self) -> bool:
        """Whether applying it changes nothing at all."""
        return self.recorded and all(each.action == "skip" for each in self.services)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "schema": 1,
            "environment": self.environment,
            "namespace": self.namespace,
            "release": self.release.reference,
            "services": [
                {"service": each.name, "action": each.action, "reasons": list(each.reasons)}
                for each in self.services
            ],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return it for people."""
        width = max((len(each.name) for each in self.services), default=0)
        lines = [
            f"{each.name:{width}}  {each.action:7}  {each.why}".rstrip() for each in self.services
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def read_state(
    cluster: Cluster,
    observe: Callable[[Cluster], Mapping[str, ServiceState]] = read_helm_states,
) -> ClusterState:
    """Read everything that a plan needs, with a handful of calls for any number of services.

    :param observe: what the target has: see ``Target``.
    """
    return ClusterState(
        applied=observe(cluster), record=read_record(cluster), snapshot=take_snapshot(cluster)
    )


def plan_deploy(
    release: OpenedRelease,
    services: Mapping[str, ServiceConfig],
    environment_name: str,
    environment: EnvironmentConfig,
    state: ClusterState,
    *,
    root: Path,
    rollback: bool = False,
) -> DeployPlan:
    """Compare what a release says with what the cluster has.

    :param root: the project's folder, for values files.
    :param rollback: an earlier release: services that one of the two does not know are left
        alone, and pre steps are not run.
    :raises ConfigError: a values file is missing, ``needs`` is a circle, or the release lacks a
        service.
    """
    missing = sorted(set(services) - set(release.services))
    if missing and not rollback:
        raise ConfigError(
            f"The release {release.reference} has no service {', '.join(missing)}.",
            hint="nox -s build makes a release with every service of aksci.toml.",
        )
    plans = [
        _plan_service(release, name, services[name], environment, state, root, rollback=rollback)
        for name in _in_order(services)
        if name in release.services
    ]
    return DeployPlan(
        environment=environment_name,
        namespace=environment.namespace,
        release=release,
        services=tuple(plans),
        notes=tuple(_notes(release, services, state)),
        # With an unfinished attempt on record there is something to do: to write down that it is
        # over.
        recorded=state.record.current == release.reference and not state.record.attempt,
        rollback=rollback,
    )


def _notes(
    release: OpenedRelease, services: Mapping[str, ServiceConfig], state: ClusterState
) -> Iterator[str]:
    """Say what stays as it is though it is in one of the three: release, aksci.toml, cluster."""
    for name in sorted(set(services) - set(release.services)):
        yield f"the release does not have {name}: it stays as it is"
    unknown = sorted(set(release.services) - set(services))
    for name in unknown:
        yield f"aksci.toml does not have {name}: it stays as it is"
    for name, each in sorted(state.applied.items()):
        # With our label: what others have installed by Helm is theirs.
        if each.latest and each.latest.release and name not in {*services, *unknown}:
            gone = f"{name} is deployed and no longer in aksci.toml"
            yield f"{gone}: helm uninstall {name} removes it"


def _plan_service(
    release: OpenedRelease,
    name: str,
    config: ServiceConfig,
    environment: EnvironmentConfig,
    state: ClusterState,
    root: Path,
    *,
    rollback: bool,
) -> ServicePlan:
    service = release.services[name]
    values = values_files(root, environment, name)
    inputs = gather_inputs(release, service, config, values, root=root)
    helm, good = state.applied.get(name, ServiceState(name=name)), state.record.services.get(name)
    action, reasons = _decide(inputs, helm, good, state.snapshot)
    return ServicePlan(
        service=service,
        config=config,
        action=action,
        reasons=tuple(reasons),
        inputs=inputs,
        values=values,
        pre_steps=not rollback,
        state=helm,
        good=good,
    )


def _decide(  # noqa: PLR0911 - one return a case, in the order in which they exclude each other
    inputs: DesiredInputs, helm: ServiceState, good: ServiceRecord | None, snapshot: Snapshot
) -> tuple[Action, list[dict[str, str]]]:
    latest = helm.latest
    if latest is None:
        return "install", [{"code": "NEW"}]
    # Helm was killed. It refuses each upgrade until that is repaired, even one to the same.
    if latest.pending:
        action: Action = "upgrade" if len(helm.revisions) > 1 else "install"
        return action, [{"code": "PENDING", "status": latest.status}]
    if latest.status != "deployed":
        return "upgrade", [{"code": "FAILED", "status": latest.status}]
    known = good is not None and good.revision == latest.number
    # A revision that a rollback made bears the labels of the one that it copies; the record knows
    # better.
    if (good.desired if good and known else latest.desired) != inputs.desired:
        reasons = _differences(inputs, good) or [{"code": "FOREIGN_CHANGE"}]
        return "upgrade", [*reasons, *(_drift(good, snapshot) if good and known else ())]
    if good is None or not known:
        return "resume", [{"code": "UNFINISHED"}]
    healths = [snapshot.health(name, Patience()) for name in good.workloads]
    absent = [each for each in healths if each.workload not in snapshot.workloads]
    drift = _drift(good, snapshot)
    # What is gone, or was changed by hand, only Helm brings back.
    if absent or drift:
        missing = [{"code": "MISSING", "workload": each.workload} for each in absent]
        return "upgrade", [*missing, *drift]
    ill = [each for each in healths if not each.done]
    # All is applied as it should be. Another revision would change nothing: watch this one.
    if ill:
        return "resume", [
            {"code": "UNHEALTHY", "workload": each.workload, "state": each.text} for each in ill
        ]
    return "skip", []


def _drift(good: ServiceRecord, snapshot: Snapshot) -> list[dict[str, str]]:
    """Compare the live workloads' images with those that Helm applied.

    Containers that were only added are not looked at: an admission webhook may add them, and Helm
    would leave them where they are.
    """
    reasons = []
    for workload, applied in sorted(good.images.items()):
        live = dict(images_of(snapshot.workloads.get(workload)))
        # A workload that is gone is MISSING, and not also changed.
        for container, image in sorted(applied.items()) if live else ():
            if live.get(container) != image:
                found = live.get(container, "none")
                reasons.append(
                    {
                        "code": "DRIFT",
                        "workload": workload,
                        "container": container,
                        "image": found,
                    }
                )
    return reasons


def _differences(inputs: DesiredInputs, good: ServiceRecord | None) -> list[dict[str, str]]:
    # Nothing to compare with: whatever differs was not made by us.
    if good is None or good.desired == inputs.desired:
        return []
    new, old = asdict(inputs), good.inputs
    reasons = []
    if new["chart"] != old.get("chart"):
        reasons.append({"code": "CHART"})
    for code, table in (("VALUES", "values"), ("IMAGE", "images")):
        before, after = old.get(table, {}), new[table]
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                pair = {"old": before.get(key, ""), "new": after.get(key, "")}
                reasons.append({"code": code, "key": key, **pair})
    if new["steps"] != old.get("steps"):
        reasons.append({"code": "STEPS"})
    return reasons


def _reason(reason: dict[str, str]) -> str:
    rest = [value for key, value in reason.items() if key not in {"code", "old", "new"}]
    change = ""
    if reason["code"] == "IMAGE":
        change = f"{_short(reason['old'])} → {_short(reason['new'])}"
    return " ".join(word for word in (reason["code"], *rest, change) if word)


def _short(image: str) -> str:
    return image.rpartition("sha256:")[2][:12] or "none"


def _in_order(services: Mapping[str, ServiceConfig]) -> list[str]:
    from graphlib import CycleError, TopologicalSorter

    # Sorted first, so that the same aksci.toml always gives the same order.
    graph = {name: sorted(services[name].needs) for name in sorted(services)}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise ConfigError(
            f"services: 'needs' goes round in a circle: {circle}.",
            hint="remove one of these from 'needs' in aksci.toml.",
        ) from None
