"""What each environment that opted in makes of the release that a cascade has made."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aksci.cascade.cascade_report import EnvironmentOutcome
from aksci.core.errors import AksciError, ConfigError, GateError, Interrupted
from aksci.core.text import one_line
from aksci.oci.references import ImageRef
from aksci.supply.release.release import release_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.cascade_report import Became
    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.deploy.state.deploy_record import DeployRecord

__all__ = ["EnvironmentActions", "deploy_continued"]

_RUNS = frozenset({"deployed", "unchanged"})


@dataclass(frozen=True, kw_only=True)
class EnvironmentActions:
    """How environments are looked at and changed, each by its name."""

    registry: Callable[[str], str]
    """``host[:port]``."""
    source: Callable[[str], str]
    """Name the environment that one promotes from, or refuse to."""
    look: Callable[[str], DeployRecord]
    """Read what runs there."""
    deploy: Callable[[str, ImageRef], tuple[str, ...]]
    """Deploy a release there; return the services that were rolled out."""
    promote: Callable[[str, ImageRef], tuple[str, ...]]
    """Bring a release from the registry of the environment before, and deploy it likewise."""
    refusals: Callable[[str, ImageRef], tuple[str, ...]]
    """Ask the gates only."""
    continues: Callable[[ImageRef, ImageRef], bool]
    """Tell whether the first release continues the second."""


def deploy_continued(
    release: ImageRef,
    environments: Mapping[str, EnvironmentConfig],
    *,
    start: str,
    actions: EnvironmentActions,
    plan_only: bool = False,
    to_come: bool = False,
) -> tuple[tuple[EnvironmentOutcome, ...], AksciError | None]:
    """Deploy a release where it continues what runs, or promote it; return also the first error.

    Environments with ``cascade = true`` are opened, and those that they are promoted from, to look
    there as ``promote`` does. What promotes from a failed one waits; the others go on. What a
    person has gone back to stays.

    :param start: the environment in which the cascade ran.
    :param plan_only: say what would happen, and change nothing.
    :param to_come: for a plan: ``release`` is the one that the cascade will go on from.
    """
    tour = _Tour(
        release=release,
        environments=environments,
        start=start,
        actions=actions,
        plan_only=plan_only,
        to_come=to_come,
    )
    for name in _in_order(environments):
        if environments[name].cascade:
            tour.visit(name)
    return tuple(tour.outcomes.values()), tour.error


def _in_order(environments: Mapping[str, EnvironmentConfig]) -> list[str]:
    """Return the names, each after what it is promoted from; a circle has some order, too."""

    def steps(name: str) -> int:
        before = set[str]()
        here: str | None = name
        while here is not None and here not in before:
            before.add(here)
            found = environments.get(here)
            here = found.promote_from if found else None
        return len(before)

    return sorted(environments, key=lambda name: (steps(name), name))


@dataclass(kw_only=True)
class _Tour:
    """One round through the environments."""

    release: ImageRef
    environments: Mapping[str, EnvironmentConfig]
    start: str
    actions: EnvironmentActions
    plan_only: bool
    to_come: bool
    outcomes: dict[str, EnvironmentOutcome] = field(default_factory=dict)
    error: AksciError | None = None

    def visit(self, here: str) -> None:
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
        self.outcomes[here] = replace(found, seconds=seconds)

    def _outcome(self, here: str) -> EnvironmentOutcome:
        promoted = self._source(here) is not None
        first = self._first(here)
        host = self.actions.registry(first)
        if first != self.start and host != self.release.registry:
            whose = f"{first!r}, where its releases begin, has" if promoted else ""
            why = f"{whose or 'its registry is'} {host}, and the release is in "
            return _told(here, "left", f"{why}{self.release.registry}: {self._hint(here)}")
        record = self.actions.look(here)
        if self._is_new(record):
            return _told(here, "unchanged")
        why = self._strange(record)
        if why:
            return _told(here, "left", f"{why}: {self._hint(here)}")
        return self._promote(here) if promoted else self._deploy(here)

    def _source(self, here: str) -> str | None:
        """Return what aksci.toml says that an environment is promoted from, be it there or not."""
        found = self.environments.get(here)
        return found.promote_from if found else None

    def _first(self, here: str) -> str:
        """Return the environment in which the releases begin that come to one by promotions.

        Where the cascade ran, they begin anew.
        """
        seen = {here}
        while here != self.start and self._source(here) not in {None, *seen}:
            here = self.actions.source(here)
            seen.add(here)
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

    def _deploy(self, here: str) -> EnvironmentOutcome:
        if self.plan_only:
            return _told(here, "would deploy")
        services = self.actions.deploy(here, self.release)
        return _told(here, "deployed", services=services)

    def _promote(self, here: str) -> EnvironmentOutcome:
        source = self.actions.source(here)
        known = self.outcomes.get(source)
        if known and known.outcome == "would deploy":
            return self._promised(here, source)
        runs = known.outcome in _RUNS if known else self._is_new(self.actions.look(source))
        if not runs:
            why = f"{source!r}, which it is promoted from, does not run it yet"
            return _told(here, "waits", why)
        ref = replace(self.release, registry=self.actions.registry(source))
        if self.plan_only:
            refusals = self.actions.refusals(here, ref)
            return _told(
                here, "waits" if refusals else "would deploy", one_line("; ".join(refusals))
            )
        try:
            services = self.actions.promote(here, ref)
        except GateError as error:
            return _told(here, "waits", one_line(error.message))
        return _told(here, "deployed", services=services)

    def _promised(self, here: str, source: str) -> EnvironmentOutcome:
        """Say in a plan what becomes of a release that is to be deployed in the source first."""
        gates = self.environments[here].gates
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

    def _hint(self, here: str) -> str:
        """Return the command that a person gives where the cascade does nothing."""
        if self._source(here) is not None:
            return f"nox -s promote -- --env {here}"
        if self.to_come or self.actions.registry(here) != self.release.registry:
            return f"nox -s build deploy -- --env {here}"
        return f"nox -s deploy -- --env {here} --release {self.release}"


def _told(
    here: str, outcome: Became, detail: str = "", *, services: tuple[str, ...] = ()
) -> EnvironmentOutcome:
    return EnvironmentOutcome(name=here, outcome=outcome, detail=detail, services=services)


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
