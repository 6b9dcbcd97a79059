"""One run at a time in each namespace: a Lease that is renewed while we work."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DeployError, LockError
from aksci.deploy.kubernetes.cluster import Conflict
from aksci.deploy.kubernetes.manifest_records import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aksci.deploy.kubernetes.cluster import Cluster

__all__ = ["Lock", "hold_lock"]

# Six renewals fit in, so that some may fail.
_DURATION = 30
_RENEW = 5.0
_SINCE = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(kw_only=True)
class Lock:
    """A lock that we hold."""

    name: str
    holder: str
    _acquired: str = ""
    """``acquireTime`` in the Lease: with the holder's name, it tells our lock from that of another
    job of the same run, which can only take over once ours has lapsed, and so at another time."""
    _lost: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)
    _renewed: float = -math.inf
    """Our own clock, just before the one that stands in the Lease was asked."""

    def check(self) -> None:
        """Raise ``LockError`` when the lock was lost: then nothing more may be changed."""
        if self._lost.is_set() or time.monotonic() - self._renewed > _DURATION:
            raise LockError(
                f"The lock {self.name!r} was lost: it could not be renewed for {_DURATION} s, "
                "or another run took it.",
                hint="run the same command again: it finishes what is unfinished.",
            )


@contextlib.contextmanager
def hold_lock(cluster: Cluster, holder: str, *, say: Callable[[str], None]) -> Iterator[Lock]:
    """Hold the lock of the cluster's namespace for the length of a ``with`` block.

    A holder that is alive renews every 5 seconds, so one that is met alive is told from one that
    was killed within that time: the first makes us give up at once, the second is waited for until
    its 30 seconds are over.

    :param holder: who we are, for people: all jobs of one CI run may have one name.
    :raises LockError: another run, or another job of this one, holds it and is alive.
    """
    lock = Lock(name=LOCK, holder=holder)
    _acquire(cluster, lock, say)
    # A daemon: a process that ends for any reason must stop renewing.
    thread = threading.Thread(target=_renew, args=(cluster, lock), name="aksci-lock", daemon=True)
    thread.start()
    try:
        yield lock
    finally:
        lock._done.set()  # noqa: SLF001 - our own class
        # First: a renewal that is under way would make the release a conflict.
        thread.join(timeout=10)
        with contextlib.suppress(DeployError):  # it expires by itself
            _release(cluster, lock)


def _acquire(cluster: Cluster, lock: Lock, say: Callable[[str], None]) -> None:
    met: tuple[str, str] | None = None
    while True:
        begun, now = time.monotonic(), cluster.clock()
        lease = cluster.get("Lease", lock.name)
        spec = (lease or {}).get("spec", {})
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        # By the server's clock on both sides: machines' own clocks differ.
        if not holder or _expired(spec, now):
            with contextlib.suppress(Conflict):  # somebody has taken it meanwhile: look again
                _write(cluster, lock, lease, now)
                lock._renewed = begun  # noqa: SLF001 - our own class
                return
            continue
        # Renewed since we last looked, or taken by somebody else: whoever has it is alive. One that
        # stays as it is may be a killed run's, and is waited for until it lapses.
        if met and met != (holder, renewed):
            who = "Another job of this run" if holder == lock.holder else "Another run"
            raise LockError(
                f"{who} holds the lock {lock.name!r} in namespace {cluster.namespace!r}: "
                f"{holder}, since {spec.get('acquireTime', '?')}.",
                hint="wait until it has ended. A run that was killed loses the lock after "
                f"{_DURATION} s.",
            )
        if met is None:
            say(f"the lock {lock.name!r} is held by {holder}; looking whether it is still alive")
        met = (holder, renewed)
        if cluster.halt.wait(1.0):
            raise LockError(f"Stopped while waiting for the lock {lock.name!r}.")


def _expired(spec: dict[str, Any], now: datetime) -> bool:
    if not spec.get("renewTime"):
        return True
    renewed = datetime.fromisoformat(spec["renewTime"])
    # No sum: the last second of the year 9999 has no later one.
    return now - renewed > timedelta(seconds=spec.get("leaseDurationSeconds", _DURATION))


def _is_ours(lease: dict[str, Any], lock: Lock) -> bool:
    spec = lease["spec"]
    mine = (lock.holder, lock._acquired)  # noqa: SLF001 - our own class
    return (spec.get("holderIdentity"), spec.get("acquireTime")) == mine


def _write(cluster: Cluster, lock: Lock, lease: dict[str, Any] | None, now: datetime) -> None:
    lock._acquired = now.strftime(_SINCE)  # noqa: SLF001 - our own class
    spec = {
        "holderIdentity": lock.holder,
        "leaseDurationSeconds": _DURATION,
        "acquireTime": lock._acquired,  # noqa: SLF001
        "renewTime": lock._acquired,  # noqa: SLF001
    }
    metadata: dict[str, Any] = {"name": lock.name, "namespace": cluster.namespace}
    if lease is None:
        cluster.create("Lease", {**_KIND, "metadata": metadata, "spec": spec})
    else:
        # Of two that take it at once, the API server refuses one (409).
        metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
        cluster.replace("Lease", {**_KIND, "metadata": metadata, "spec": spec})


_KIND = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}


def _renew(cluster: Cluster, lock: Lock) -> None:
    while not lock._done.wait(_RENEW):  # noqa: SLF001 - our own class
        try:
            # Our own clock first: a slow answer of the server then makes us stop too early,
            # and never too late.
            begun, now = time.monotonic(), cluster.clock()
            lease = cluster.get("Lease", lock.name)
            if lease is None or not _is_ours(lease, lock):
                lock._lost.set()  # noqa: SLF001
                return
            if _expired(lease["spec"], now):
                # Nobody took it, but others may already have decided that they may.
                lock._lost.set()  # noqa: SLF001
                return
            lease["spec"]["renewTime"] = now.strftime(_SINCE)
            cluster.replace("Lease", lease)
            lock._renewed = begun  # noqa: SLF001
        except DeployError:
            continue  # the next round sees whether it is still ours


def _release(cluster: Cluster, lock: Lock) -> None:
    lease = cluster.get("Lease", lock.name)
    if lease and _is_ours(lease, lock):
        # Replaced at the version that was read, and not deleted: what somebody has taken meanwhile
        # stays theirs.
        lease["spec"] = {"leaseDurationSeconds": _DURATION}
        cluster.replace("Lease", lease)
