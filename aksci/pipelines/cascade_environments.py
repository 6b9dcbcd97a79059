"""What each environment that opted in makes of the release that a cascade has made."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aksci.cascade.cascade_report import EnvironmentOutcome
from aksci.core.errors import AksciError, ConfigError, GateError, Interrupted
from aksci.core.text import one_line
from aksci.deploy.state.deploy_record import read_record
from aksci.oci.references import ImageRef
from aksci.pipelines.deploy import deploy_ref
from aksci.pipelines.promote import gate_refusals, previous, promote_ref
from aksci.supply.release.continued import continues
from aksci.supply.release.release import release_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.cascade_report import Became
    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.deploy.state.deploy_record import DeployRecord
    from aksci.environment import Environment

__all__ = ["EnvironmentActions", "deploy_continued"]

_RUNS = frozenset({"deployed", "unchanged"})


@dataclass(frozen=True, kw_only=True)
class EnvironmentActions:
    """How environments are looked at and changed; each takes one."""

    registry: Callable[[Environment], str]
    """``host[:port]``."""
    look: Callable[[Environment], DeployRecord]
    """Read what runs there."""
    deploy: Callable[[Environment, ImageRef], Mapping[str, Any]]
    promote: Callable[[Environment, ImageRef], Mapping[str, Any]]
    """Bring a release from the registry of the environment before."""
    refusals: Callable[[Environment, ImageRef], tuple[str, ...]]
    """Ask the gates only."""
    continues: Callable[[ImageRef, ImageRef], bool]
    """Tell whether the first release continues the second."""


def deploy_continued(
    env: Environment,
    release: ImageRef,
    *,
    plan_only: bool = False,
    to_come: bool = False,
    actions: EnvironmentActions | None = None,
) -> tuple[tuple[EnvironmentOutcome, ...], AksciError | None]:
    """Deploy a release where it continues what runs, or promote it; return also the first error.

    Environments with ``cascade = true`` are opened, and those that they are promoted from, to look
    there as ``promote`` does. What promotes from a failed one waits; the others go on. What a
    person has gone back to stays.

    :param env: in which the cascade ran.
    :param plan_only: say what would happen, and change nothing.
    :param to_come: for a plan: ``release`` is the one that the cascade will go on from.
    """
    tour = _Tour(
        env=env,
        release=release,
        plan_only=plan_only,
        to_come=to_come,
        actions=actions or _actions(env),
    )
    environments = {env.name: env.settings, **env.config.environments}
    for name in _in_order(environments):
        if environments[name].cascade:
            tour.visit(env.at(name))
    return tuple(tour.outcomes.values()), tour.error


def _in_order(environments: Mapping[str, EnvironmentConfig]) -> list[str]:
    """Return the names, each after what it is promoted from; a circle has some order, too."""

    def steps(name: str) -> int:
        before: dict[str, None] = {}
        here: str | None = name
        while here is not None and here not in before:
            before[here] = None
            found = environments.get(here)
            here = found.promote_from if found else None
        return len(before)

    return sorted(environments, key=lambda name: (steps(name), name))


@dataclass(kw_only=True)
class _Tour:
    """One round through the environments."""

    env: Environment
    release: ImageRef
    plan_only: bool
    to_come: bool
    actions: EnvironmentActions
    outcomes: dict[str, EnvironmentOutcome] = field(default_factory=dict)
    error: AksciError | None = None

    def visit(self, here: Environment) -> None:
        """Do what is to be done in one environment, and remember what became of it."""
        started = time.monotonic()
        try:
            found = self._outcome(here)
        except Interrupted:
            raise
        except AksciError as error:
            self.error = self.error or error
            found = _told(here, "failed", one_line(error.message.partition("\n")[0]))
        seconds = round(time.monotonic() - started, 3)
        self.outcomes[here.name] = replace(found, seconds=seconds)

    def _outcome(self, here: Environment) -> EnvironmentOutcome:
        promoted = here.settings.promote_from is not None
        first = self._first(here)
        host = self.actions.registry(first)
        if first.name != self.env.name and (host != self.release.registry):
            whose = f"{first.name!r}, where its releases begin, has" if promoted else ""
            why = f"{whose or 'its registry is'} {host}, and the release is in "
            return _told(here, "left", f"{why}{self.release.registry}: {self._hint(here)}")
        record = self.actions.look(here)
        if self._is_new(record):
            return _told(here, "unchanged")
        why = self._strange(record)
        if why:
            return _told(here, "left", f"{why}: {self._hint(here)}")
        return self._promote(here) if promoted else self._deploy(here)

    def _first(self, here: Environment) -> Environment:
        """Return the environment in which the releases begin that come to one by promotions.

        Where the cascade ran, they begin anew.
        """
        seen = {here.name}
        while (source := here.settings.promote_from) is not None and source not in seen:
            if here.name == self.env.name:
                break
            seen.add(source)
            here = previous(here)
        return here

    def _strange(self, record: DeployRecord) -> str:
        """Say why what runs there is not for a cascade to replace; empty: it is."""
        if not record.current:
            return "nothing runs there, and a cascade makes no first deployment"
        running = _parse(record.current)
        if running is None or not self._goes_on_from(running):
            return f"{_name(record.current)} runs there, which the cascade has not gone on from"
        if record.history[-1].rollback or record.rollback:
            return f"somebody went back to {_name(record.attempt or record.current)} there"
        begun = _parse(record.attempt) if record.attempt else running
        if begun is None or not self._goes_on_from(begun):
            return f"the deployment of {_name(record.attempt)} has begun there and has not ended"
        return ""

    def _deploy(self, here: Environment) -> EnvironmentOutcome:
        if self.plan_only:
            return _told(here, "would deploy")
        result = self.actions.deploy(here, self.release)
        return _told(here, "deployed", services=_services(result))

    def _promote(self, here: Environment) -> EnvironmentOutcome:
        source = previous(here)
        known = self.outcomes.get(source.name)
        if known and known.outcome == "would deploy":
            return self._promised(here, source.name)
        runs = known.outcome in _RUNS if known else self._is_new(self.actions.look(source))
        if not runs:
            why = f"{source.name!r}, which it is promoted from, does not run it yet"
            return _told(here, "waits", why)
        ref = replace(self.release, registry=self.actions.registry(source))
        if self.plan_only:
            refusals = self.actions.refusals(here, ref)
            return _told(
                here, "waits" if refusals else "would deploy", one_line("; ".join(refusals))
            )
        try:
            result = self.actions.promote(here, ref)
        except GateError as error:
            return _told(here, "waits", one_line(error.message))
        return _told(here, "deployed", services=_services(result["deploy"]))

    def _promised(self, here: Environment, source: str) -> EnvironmentOutcome:
        """Say in a plan what becomes of a release that is to be deployed in the source first."""
        gates = here.settings.gates
        hours = {"min_age": gates.min_age, "soak": gates.soak}
        needed = [f"{name} = {count}" for name, count in hours.items() if count]
        if needed:
            why = f"it must first run in {source!r}; its gates want {' and '.join(needed)} hours"
            return _told(here, "waits", why)
        return _told(here, "would deploy")

    def _is_new(self, record: DeployRecord) -> bool:
        running = _parse(record.current) if record.current else None
        return not self.to_come and running is not None and self._same(running)

    def _same(self, other: ImageRef) -> bool:
        """Tell whether it is the release, in whatever registry: a promotion keeps the digest."""
        return (other.repository, other.digest) == (self.release.repository, self.release.digest)

    def _goes_on_from(self, running: ImageRef) -> bool:
        """Tell whether it is the release, or one that this continues."""
        if self._same(running):
            return True
        here = replace(running, registry=self.release.registry)
        return self.actions.continues(self.release, here)

    def _hint(self, here: Environment) -> str:
        """Return the command that a person gives where the cascade does nothing."""
        name, source = here.name, here.settings.promote_from
        if source is not None:
            return f"nox -s promote -- --env {name}"
        if self.to_come or self.actions.registry(here) != self.release.registry:
            return f"nox -s build deploy -- --env {name}"
        return f"nox -s deploy -- --env {name} --release {self.release}"


def _actions(env: Environment) -> EnvironmentActions:
    """Return the real ones."""

    def look(here: Environment) -> DeployRecord:
        with here.looking.cluster() as cluster:
            return read_record(cluster)

    return EnvironmentActions(
        registry=lambda here: here.looking.endpoints.registry,
        look=look,
        deploy=deploy_ref,
        promote=promote_ref,
        refusals=gate_refusals,
        continues=lambda release, before: continues(release, before, signer=env.signer),
    )


def _told(
    here: Environment, outcome: Became, detail: str = "", *, services: tuple[str, ...] = ()
) -> EnvironmentOutcome:
    return EnvironmentOutcome(name=here.name, outcome=outcome, detail=detail, services=services)


def _services(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services that a deployment has rolled out."""
    return tuple(each["service"] for each in result["results"] if each["action"] != "skip")


def _parse(text: str) -> ImageRef | None:
    """Read what a cluster says that it runs; whoever may write there may have written anything."""
    try:
        return ImageRef.parse(text)
    except ConfigError:
        return None


def _name(text: str) -> str:
    """Name a release in few words."""
    found = _parse(text)
    return release_tag(found.digest) if found else repr(one_line(text)[:100])
