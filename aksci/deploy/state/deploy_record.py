"""What was deployed here, kept in the namespace itself: the ConfigMap ``aksci-release``."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import backoff, retry
from aksci.core.errors import DeployError
from aksci.core.strict_json import read_document
from aksci.deploy.kubernetes.cluster import Conflict
from aksci.deploy.kubernetes.manifest_records import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.deploy.kubernetes.cluster import Cluster

__all__ = ["DeployRecord", "Deployed", "RecordKeeper", "ServiceRecord", "read_record"]

_ATTEMPTS = 5
_KEEP = 10


@dataclass(frozen=True, kw_only=True)
class ServiceRecord:
    """One service's last good state: rolled out, and its post steps passed."""

    desired: str
    revision: int
    """Helm's revision number of that state."""
    release: str
    inputs: dict[str, Any]
    workloads: tuple[str, ...]
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    """Workload -> container -> image, as Helm applied them; empty in records of earlier versions.
    """


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """One release that was deployed completely."""

    release: str
    at: str
    """ISO 8601, UTC."""
    run: str
    rollback: bool = False
    """Whether it was gone back to."""


@dataclass(frozen=True, kw_only=True)
class DeployRecord:
    """The whole of it."""

    services: dict[str, ServiceRecord] = field(default_factory=dict)
    history: tuple[Deployed, ...] = ()
    """Oldest first, the last 10."""
    attempt: str = ""
    """A release whose deployment has begun and has not ended well."""
    rollback: bool = False
    """Whether the attempt is a rollback."""

    @property
    def current(self) -> str:
        """The last release that was deployed completely; empty when there is none."""
        return self.history[-1].release if self.history else ""

    def with_service(self, name: str, service: ServiceRecord) -> DeployRecord:
        """Return it with one service's new good state."""
        return replace(self, services={**self.services, name: service})

    def finished(self, entry: Deployed) -> DeployRecord:
        """Return it with a release that is now deployed completely.

        The same one again has run unchanged since now only: something was changed, or another
        one had begun.
        """
        if self.current == entry.release:
            # Not once more: rollback would find the same release as "the one before".
            history = (*self.history[:-1], replace(self.history[-1], at=entry.at))
        else:
            history = (*self.history, entry)[-_KEEP:]
        return replace(self, history=history, attempt="", rollback=False)


def read_record(cluster: Cluster) -> DeployRecord:
    """Read the namespace's record; an empty one when there is none yet.

    :raises DeployError: it is damaged.
    """
    return _parse(cluster.get("ConfigMap", RECORD))


class RecordKeeper:
    """Change the record from several threads. The caller holds the environment's lock."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()

    def update(self, change: Callable[[DeployRecord], DeployRecord]) -> None:
        """Read the record, change it and write it back; written only when it differs."""
        with self._lock:
            try:
                retry(
                    lambda: self._update_once(change),
                    again=lambda error: isinstance(error, Conflict),
                    # At once: the change is made to what is read again, so that only somebody who
                    # writes all the time wins.
                    waits=backoff(0, attempts=_ATTEMPTS),
                )
            except Conflict:
                raise DeployError(
                    f"The ConfigMap {RECORD} could not be written: others keep changing it."
                ) from None

    def _update_once(self, change: Callable[[DeployRecord], DeployRecord]) -> None:
        found = self._cluster.get("ConfigMap", RECORD)
        before = _parse(found)
        after = change(before)
        if after != before:
            self._write(found, after)

    def _write(self, found: dict[str, Any] | None, record: DeployRecord) -> None:
        document = {"schema": 1, **asdict(record)}
        metadata: dict[str, Any] = {
            "name": RECORD,
            "namespace": self._cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "aksci"},
        }
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"record.json": json.dumps(document, indent=1)},
        }
        if found is None:
            self._cluster.create("ConfigMap", body)
        else:
            # Optimistic: the API server refuses a write to what has changed since it was read
            # (409).
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
            self._cluster.replace("ConfigMap", body)


def _parse(found: dict[str, Any] | None) -> DeployRecord:
    if found is None:
        return DeployRecord()
    try:
        return read_document(DeployRecord, found["data"]["record.json"])
    except (KeyError, TypeError, ValueError) as error:
        raise DeployError(
            f"The ConfigMap {RECORD} is damaged ({error!r}).",
            hint=f"kubectl delete configmap {RECORD}: the next deploy looks at every service anew; "
            "the history for rollback is lost.",
        ) from None
