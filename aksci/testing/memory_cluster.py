"""A Kubernetes API server in memory: ``MemoryCluster``."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aksci.testing.clock import Clock
from aksci.testing.workload_rollouts import PodFault, Rollouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    import httpx2

__all__ = ["MemoryCluster"]

_FIXED = {"/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}}
_NAMESPACE = re.compile(r"/api/v1/namespaces/(?P<name>[^/]+)")
_OBJECT = re.compile(r"(?P<list>/.+/namespaces/[^/]+/[a-z]+)/(?P<name>[^/]+)")
_LOG = re.compile(r".*/namespaces/(?P<namespace>[^/]+)/pods/(?P<pod>[^/]+)/log")
_PROXY = re.compile(r".*/services/http:(?P<service>[^:/]+):(?P<port>\d+)/proxy(?P<path>/.*)")

Answer = tuple[int, "dict[str, Any] | str"]


class MemoryCluster:
    """Keeps the objects of any namespace, and rolls out at once what is applied.

    It answers what aksci asks: to get, list (by labels and fields), create, replace and delete
    objects, and for logs, Services and the time. A replacement of what has changed since it was
    read is a conflict, as with a real one. When a Deployment, StatefulSet, DaemonSet or Job is
    written, its pods are there and ready in the same moment, unless the test says otherwise; a
    Service answers 200. Nothing is scheduled, pulled, probed, admitted, defaulted or authorised:
    whether a rollout works, only a real cluster can tell. Several threads may use it.

    >>> cluster = MemoryCluster()
    >>> cluster.break_down("web", code="CrashLoopBackOff", log="no such table: users")
    >>> cluster.answer("web", 503)
    >>> cluster.images("shop")  # what runs there now, by digest
    {}

    :param now: its clock. Default: one that stands still.
    :param namespaces: those that there are; None: each that is asked for.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] | None = None,
        namespaces: tuple[str, ...] | None = None,
    ) -> None:
        self.now = now or Clock()
        self.namespaces = namespaces
        self.objects: dict[str, dict[str, Any]] = {}
        """What it keeps, by path: ``/apis/apps/v1/namespaces/shop/deployments/web``. What a test
        puts here is kept as it is."""
        self.writes: list[str] = []
        """Paths of what was created, replaced or deleted, in order; not what it made of it."""
        self.slow_writes = 0.0
        """Seconds that each write takes."""
        self._lock = threading.RLock()
        self._version = 0
        self._rollouts = Rollouts(now=self.now)
        self._answers: dict[str, tuple[int, str]] = {}
        self._refusals: dict[str, tuple[int, str]] = {}
        self._logs: dict[str, str] = {}

    # What a test arranges, and looks at

    def break_down(
        self,
        workload: str,
        *,
        code: str = "CrashLoopBackOff",
        message: str = "",
        log: str = "",
        times: int | None = 1,
    ) -> None:
        """Keep a workload's pods from becoming ready after its next write.

        :param workload: its name; of a Job, how its name begins, such as ``web-migrate``.
        :param code: why a container waits, in Kubernetes' words: ``CrashLoopBackOff``,
            ``ImagePullBackOff``…
        :param message: what Kubernetes says of it.
        :param log: what the container wrote.
        :param times: how often; once, so that a rollback is well again. None: until ``heal``.
        """
        self._rollouts.faults[workload] = PodFault(code=code, message=message, left=times)
        self._logs[workload] = log

    def heal(self) -> None:
        """Refuse nothing, and let everything that is written from now on become ready again."""
        self._refusals.clear()
        self._rollouts.faults.clear()
        self._answers.clear()

    def refuse(self, end: str, status: int, message: str = "it was told to refuse") -> None:
        """Answer every request to a path that ends so by an error, until ``heal``.

        A client of aksci repeats what fails by 429 or 5xx, for half a minute.

        :param end: such as ``/pods``, or ``/deployments/web``.
        :param status: such as 403.
        """
        self._refusals[end] = (status, message)

    def answer(self, service: str, status: int, text: str = "") -> None:
        """Set a Service's response to each GET through the API server. Default: 200."""
        self._answers[service] = (status, text)

    def find(self, namespace: str, plural: str) -> dict[str, dict[str, Any]]:
        """Return a namespace's objects of one kind by name, such as ``deployments``."""
        with self._lock:
            return {
                path.rpartition("/")[2]: one
                for path, one in sorted(self.objects.items())
                if f"/namespaces/{namespace}/{plural}/" in path
            }

    def images(self, namespace: str) -> dict[str, str]:
        """Return the images that pods of a namespace run: ``workload/container`` -> reference.

        Pods of Jobs are left out.
        """
        return {
            f"{pod['metadata']['labels'].get('aksci.test/workload')}/{each['name']}": each["image"]
            for pod in self.find(namespace, "pods").values()
            if "batch.kubernetes.io/job-name" not in pod["metadata"].get("labels", {})
            for each in pod["spec"]["containers"]
        }

    # What a client reaches

    def client(self) -> httpx2.Client:
        """Return an HTTP client that sends every request to this cluster."""
        import httpx2

        return httpx2.Client(
            transport=httpx2.MockTransport(self._respond), base_url="http://cluster.test"
        )

    def apply(self, path: str, body: Mapping[str, Any]) -> None:
        """Write an object whether or not it exists, as server-side apply does.

        :param path: of the object itself.
        """
        with self._lock:
            self.writes.append(path)
            self._keep(path, json.loads(json.dumps(body)))

    def remove(self, path: str) -> bool:
        """Delete an object and what it owns; return whether it existed."""
        with self._lock:
            found = self.objects.pop(path, None)
            if found is None:
                return False
            self.writes.append(path)
            self._remove_owned(found["metadata"].get("uid", ""))
            return True

    def handle(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer a request.

        :returns: the status, and a document or, of logs and Services, a text.
        """
        if method != "GET":
            time.sleep(self.slow_writes)
        with self._lock:
            refusal = next((r for end, r in self._refusals.items() if path.endswith(end)), None)
            if refusal:
                return _status(*refusal)
            if method == "GET":
                status, found = self._get(path, query or {})
            else:
                status, found = self._write(method, path, body or {})
            # What is handed out does not change with what is kept.
            return status, json.loads(json.dumps(found))

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return _status(409, f"{path} already exists")
        elif path not in self.objects:
            return _status(404, f"{path} not found")
        if method == "DELETE":
            self.remove(path)
            return 200, {"kind": "Status", "status": "Success"}
        given = body["metadata"].get("resourceVersion")
        current = self.objects.get(path, {}).get("metadata", {}).get("resourceVersion")
        if method == "PUT" and given and current and given != current:
            return _status(409, f"{path} has been modified")
        self.apply(path, body)
        return (201 if method == "POST" else 200), self.objects[path]

    def _get(self, path: str, query: Mapping[str, str]) -> Answer:
        if found := self.objects.get(path) or _FIXED.get(path):
            return 200, found
        if match := _LOG.fullmatch(path):
            return 200, self._log(match["pod"])
        if match := _PROXY.fullmatch(path):
            return self._answers.get(match["service"], (200, "ok"))
        if match := _NAMESPACE.fullmatch(path):
            here = self.namespaces is None or match["name"] in self.namespaces
            active = {"metadata": {"name": match["name"]}, "status": {"phase": "Active"}}
            return (200, active) if here else _status(404, f"no {path}")
        if _OBJECT.fullmatch(path):
            return _status(404, f"no {path}")
        return 200, {"items": list(self._select(path, query))}

    def _select(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        labels, fields = _pairs(query.get("labelSelector")), _pairs(query.get("fieldSelector"))
        for key, one in self.objects.items():
            if key.rpartition("/")[0] != path:
                continue
            has = one["metadata"].get("labels", {})
            named = all(has.get(name) == value for name, value in labels.items())
            if named and all(_field(one, name) == value for name, value in fields.items()):
                yield one

    def _keep(self, path: str, body: dict[str, Any]) -> None:
        before = self.objects.get(path, {}).get("metadata", {})
        self._version += 1
        body["metadata"] = {
            "uid": before.get("uid") or f"uid-{self._version}",
            "creationTimestamp": before.get("creationTimestamp") or _time(self.now()),
            **body["metadata"],
            "resourceVersion": str(self._version),
        }
        self.objects[path] = body
        folder = path.rpartition("/")[0].rpartition("/")[0]
        made = self._rollouts.roll_out(folder, body, before)
        if made:
            self._remove_owned(body["metadata"]["uid"])
        for place, one in made.items():
            self.objects[place] = one

    def _remove_owned(self, uid: str) -> None:
        owned = [
            (path, one["metadata"].get("uid", ""))
            for path, one in self.objects.items()
            if uid and any(ref["uid"] == uid for ref in one["metadata"].get("ownerReferences", []))
        ]
        for path, own in owned:
            self.objects.pop(path, None)
            self._remove_owned(own)

    def _log(self, pod: str) -> str:
        return next((text for name, text in self._logs.items() if pod.startswith(name)), "")

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        import httpx2

        content = request.read()
        body = json.loads(content) if content and request.method in {"POST", "PUT"} else None
        query = dict(request.url.params)
        status, found = self.handle(request.method, request.url.path, body, query)
        headers = {"Date": format_datetime(self.now().astimezone(UTC), usegmt=True)}
        if isinstance(found, str):
            return httpx2.Response(status, headers=headers, text=found)
        return httpx2.Response(status, headers=headers, json=found)


def _status(code: int, message: str) -> Answer:
    reason = HTTPStatus(code).phrase.replace(" ", "")
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}


def _pairs(selector: str | None) -> dict[str, str]:
    """Read ``a=b,c=d``."""
    pairs = [each.partition("=") for each in (selector or "").split(",") if each]
    return {name: value.lstrip("=") for name, _, value in pairs}


def _field(one: Mapping[str, Any], name: str) -> str:
    found: Any = one
    for part in name.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return str(found)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
