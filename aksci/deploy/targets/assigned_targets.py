"""Which target has which service: ``AssignedTargets``, which is one target for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DeployError
from aksci.core.text import short_line
from aksci.deploy.targets.helm import read_helm_states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from aksci.core.process import Runner
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.targets.deploy_target import Change, ServiceState, Target
    from aksci.deploy.targets.helm import Helm

__all__ = ["AssignedTargets"]


@dataclass(frozen=True, kw_only=True)
class AssignedTargets:
    """Ask the target that a service is assigned to; Helm has those that nobody else has."""

    helm: Callable[[], Helm]
    """Called when Helm has something to do: to look, its program is not needed."""
    own: Mapping[str, Target]
    """Service -> target."""
    runner: Runner
    """Starts Helm."""

    def observe(self, cluster: Cluster) -> Mapping[str, ServiceState]:
        """Return the state of each service, from the target that it is assigned to."""
        found = {
            name: state for name, state in read_helm_states(cluster).items() if name not in self.own
        }
        for target in self._own_targets():
            states = target.observe(cluster)
            found |= {
                name: states[name]
                for name, each in self.own.items()
                if each is target and name in states
            }
        return found

    def render(self, change: Change) -> Sequence[Mapping[str, Any]]:
        """Pass on."""
        return self._of(change.service).render(change)

    def apply(self, cluster: Cluster, change: Change) -> None:
        """Pass on; what Helm has of a service that is now another target's stays where it is."""
        target = self._of(change.service)
        target.apply(cluster, change)
        if change.service not in self.own:
            return
        made = target.observe(cluster).get(change.service)
        # Otherwise the next run would find nothing, and do it all again.
        latest = made.latest if made else None
        if latest is None or latest.number < change.number:
            raise DeployError(
                f"services.{change.service}: its target applied revision {change.number}, and does "
                "not have it."
            )

    def objects(self, cluster: Cluster, service: str) -> Sequence[Mapping[str, Any]]:
        """Pass on."""
        return self._of(service).objects(cluster, service)

    def status(self, cluster: Cluster, service: str, *, timeout: float) -> str:
        """Pass on, as one harmless line."""
        return short_line(self._of(service).status(cluster, service, timeout=timeout), 2000)

    def restore(self, cluster: Cluster, service: str, number: int, *, timeout: int) -> None:
        """Pass on."""
        self._of(service).restore(cluster, service, number, timeout=timeout)

    def remove(self, cluster: Cluster, service: str, *, timeout: int) -> None:
        """Pass on."""
        self._of(service).remove(cluster, service, timeout=timeout)

    def stop(self) -> None:
        """Stop them all."""
        self.runner.terminate_all()
        for target in self._own_targets():
            target.stop()

    def _of(self, service: str) -> Target:
        return self.own.get(service) or self.helm()

    def _own_targets(self) -> Iterable[Target]:
        """Return each target but Helm once: one may have several services."""
        return {id(each): each for each in self.own.values()}.values()
