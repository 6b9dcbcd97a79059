"""What applies a release's services somewhere, and the ``Target`` protocol that targets implement.

It is as small as a deployment, the way back, and a status need it today; issue 15 will ask for
more (docs/adr/0015-parts-of-ones-own.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.oci.references import ImageRef

__all__ = ["Change", "Revision", "ServiceState", "Target"]

_PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"})


@dataclass(frozen=True, kw_only=True, order=True)
class Revision:
    """One revision of a service, as its target has kept it."""

    number: int
    status: str
    """Helm's word: ``deployed``, ``superseded``, ``failed``, ``pending-upgrade``…"""
    desired: str = ""
    """The desired hash that we gave it; empty when it is not ours."""
    release: str = ""

    @property
    def pending(self) -> bool:
        """Whether the target was killed while it made this revision."""
        return self.status in _PENDING


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """All revisions of one service, oldest first."""

    name: str
    revisions: tuple[Revision, ...] = ()

    @property
    def latest(self) -> Revision | None:
        """The newest revision, whatever its status."""
        return self.revisions[-1] if self.revisions else None

    def has(self, number: int) -> bool:
        """Tell whether this revision is still kept, and was finished."""
        return any(each.number == number and not each.pending for each in self.revisions)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a service is to become."""

    service: str
    chart: Path
    """The release's chart, packed (``.tgz``) or as a folder."""
    values: tuple[Path, ...]
    """The environment's values files, in their order."""
    images: Mapping[str, ImageRef]
    """Values key -> image, by digest."""
    allowed: frozenset[str] = frozenset()
    """All images of the release, which it may run; none: those of ``images``."""
    desired: str = ""
    """A hash of all that the service is made of, to be kept with the revision."""
    release: str = ""
    """The release's short name, to be kept with the revision."""
    number: int = 0
    """Which revision it becomes: one more than the latest."""
    timeout: int = 300
    """Seconds."""
    force: bool = False
    """Somebody has changed what was applied: take it back."""
    kube_version: str = ""
    """The cluster's, such as ``1.34.4``."""


class Target(Protocol):
    """Applies services and keeps their revisions. Its methods are called from several threads.

    ``cluster`` is the environment's namespace, in which the lock and the record are; a target that
    deploys elsewhere does not look at it. Whatever is killed, the next run goes on from what
    ``observe`` tells.
    """

    def observe(self, cluster: Cluster) -> Mapping[str, ServiceState]:
        """Return the state of each service that it has. It changes and installs nothing."""

    def render(self, change: Change) -> Sequence[Mapping[str, Any]]:
        """Return the Kubernetes objects that ``apply`` would make; none, if it makes none.

        Every image in them must be in the release. It is called before any service is changed.

        :raises ConfigError: the chart or the values are wrong.
        """

    def apply(self, cluster: Cluster, change: Change) -> None:
        """Make a new revision, without waiting until it runs.

        :raises DeployError: it was refused.
        """

    def objects(self, cluster: Cluster, service: str) -> Sequence[Mapping[str, Any]]:
        """Return the Kubernetes objects of the latest revision, whose rollout we follow."""

    def status(self, cluster: Cluster, service: str, *, timeout: float) -> str:
        """Wait until the latest revision runs; return in a line what is wrong, or an empty text.

        It is asked when the rollout of ``objects`` is complete. A line makes the deployment fail.

        :param timeout: seconds.
        """

    def restore(self, cluster: Cluster, service: str, number: int, *, timeout: int) -> None:
        """Make a new revision out of an earlier one.

        :raises DeployError: it was refused.
        """

    def remove(self, cluster: Cluster, service: str, *, timeout: int) -> None:
        """Remove a service with its revisions; one that does not exist is fine.

        :raises DeployError: it was refused.
        """

    def stop(self) -> None:
        """End what it is doing, now: Ctrl-C."""
