"""One namespace of one Kubernetes cluster, over a connection that lightkube makes."""

from __future__ import annotations

import itertools
import threading
import time
from copy import copy
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import retry
from aksci.core.errors import ClusterError, ConfigError, DeployError, Interrupted
from aksci.core.http import proxy_for
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Self

    import httpx2
    from lightkube import SingleConfig

__all__ = ["Cluster", "Conflict", "connect", "open_cluster"]

_LARGEST = 256 << 20
_MOST_VALUES = 10_000_000
"""Of an answer: a list of 10,000 pods has two million values."""
_LONGEST = 4000
"""Characters of a reason that are shown: an admission webhook may have written it."""
_PATHS = {
    "ConfigMap": ("api/v1", "configmaps"),
    "CronJob": ("apis/batch/v1", "cronjobs"),
    "DaemonSet": ("apis/apps/v1", "daemonsets"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Event": ("api/v1", "events"),
    "Job": ("apis/batch/v1", "jobs"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "Pod": ("api/v1", "pods"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Secret": ("api/v1", "secrets"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
}
# Kubernetes documentation, "Kubernetes API Concepts", metadata-only fetches.
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# 500 too: an API server that loses etcd for a moment answers so.
_BUSY = frozenset({429, 500, 502, 503, 504})
_PAGE = 500
_PATIENCE = 30.0  # seconds for which a connected cluster may be away (an API server restarts)


class Conflict(DeployError):  # noqa: N818 - the API's own word (409)
    """The object exists already, or somebody changed it in between."""

    code = "conflict"


class _AwayError(ClusterError):
    """The API server does not answer, or not now."""

    def __init__(self, message: str, *, hint: str, arrived: bool) -> None:
        super().__init__(message, hint=hint)
        self.arrived = arrived
        """Whether it may have acted on the request."""


class Cluster:
    """Objects in one namespace as the plain JSON that the API server speaks.

    Reads are repeated for up to 30 seconds while the API server is away; a write is repeated only
    when it certainly did not arrive. ``halt`` makes every wait of this room end early: it is set on
    Ctrl-C. Safe in several threads.
    """

    def __init__(self, http: httpx2.Client, *, address: str, namespace: str, hint: str) -> None:
        self._http = http
        self._hint = hint
        self._patience = 0.0
        self._lent = False
        self.address = address
        self.namespace = namespace
        self.context_name: str | None = None
        """The kubeconfig's context that was chosen, also when none was asked for by name."""
        self.kube_version = ""
        """Such as ``1.34.4``."""
        self.halt = threading.Event()

    def lent(self) -> Self:
        """Return it for somebody whose ``close`` leaves the connections open."""
        other = copy(self)
        other._lent = True  # noqa: SLF001 - our own class
        return other

    def close(self) -> None:
        """Give the connections back, unless it was lent."""
        if not self._lent:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return one object, or None when the API server answers 404."""
        response = self._send("GET", f"{self._path(kind)}/{name}", allow=(404,))
        return None if response.status_code == HTTPStatus.NOT_FOUND else self._json(response)

    def list(
        self, kind: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind that the selectors match, or nothing but their metadata."""
        params = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        params = {key: value for key, value in params.items() if value}
        headers = {"Accept": _METADATA_ONLY} if metadata_only else {}
        found: list[dict[str, Any]] = []
        while True:
            page = self._json(self._send("GET", self._path(kind), params=params, headers=headers))
            found.extend(page.get("items") or [])
            rest = page.get("metadata", {}).get("continue")
            if not rest:
                return found
            params["continue"] = rest

    def create(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object. Raise ``Conflict`` when it exists."""
        return self._json(self._send("POST", self._path(kind), body=body))

    def replace(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object. Raise ``Conflict`` when its resourceVersion is no longer current."""
        name = body["metadata"]["name"]
        return self._json(self._send("PUT", f"{self._path(kind)}/{name}", body=body))

    def delete(self, kind: str, name: str, *, wait: float = 0) -> None:
        """Delete an object and what it owns, and wait up to so many seconds until it is gone."""
        # Foreground: the object is there until its pods are gone, so that waiting for it is waiting
        # for them.
        propagation = {"propagationPolicy": "Foreground" if wait else "Background"}
        self._send("DELETE", f"{self._path(kind)}/{name}", params=propagation, allow=(404,))
        deadline = time.monotonic() + wait
        while wait and self.get(kind, name) is not None:
            if time.monotonic() > deadline:
                raise DeployError(f"{kind} {name} is still being deleted after {wait:g} s.")
            if self.halt.wait(0.2):
                raise Interrupted(f"Stopped while {kind} {name} is being deleted.")

    def logs(self, pod: str, container: str, *, previous: bool = False, lines: int = 20) -> str:
        """Return the end of a container's log; empty when there is none (any more)."""
        params = {"container": container, "tailLines": str(lines)}
        if previous:
            params["previous"] = "true"
        path = f"{self._path('Pod')}/{pod}/log"
        # 400: not started yet. 404: the pod is gone. 500: the kubelet is away. Logs are evidence,
        # and never worth a second error.
        response = self._send("GET", path, params=params, allow=(400, 404, 500))
        text = str(response.text) if response.status_code == HTTPStatus.OK else ""
        # The kubelet answers 200 and this sentence when it has removed the container already.
        return "" if text.startswith("unable to retrieve container logs for ") else text

    def follow_logs(self, pod: str, container: str) -> Iterator[str]:
        """Yield a container's log lines as they come, until it ends."""
        import httpx2

        path, params = f"{self._path('Pod')}/{pod}/log", {"container": container, "follow": "true"}
        # No limit for reading: a migration may be silent for minutes.
        timeout = httpx2.Timeout(10.0, read=None)
        try:
            with self._http.stream("GET", path, params=params, timeout=timeout) as response:
                if response.status_code == HTTPStatus.OK:
                    yield from response.iter_lines()
        except httpx2.HTTPError:
            return  # narration only: the Job's status decides

    def ask_service(self, name: str, port: int, path: str, *, timeout: float) -> tuple[int, str]:
        """Send GET to a Service through the API server's proxy; return status and body.

        503 with a Status object means that no pod is ready behind it.
        """
        proxy = f"{self._path_of('api/v1', 'services')}/http:{name}:{port}/proxy{path}"
        # Any status: it is the service's answer, and what it means is the step's.
        response = self._send("GET", proxy, allow=range(100, 600), timeout=timeout)
        return int(response.status_code), str(response.text)

    def ask_pod(self, name: str, port: int, path: str, *, timeout: float) -> tuple[int, str]:
        """Send GET to a pod through the API server's proxy, once; return status and body.

        503 with a Status object means that nothing listens there.

        :raises ClusterError: nothing came back in time, or the API server is away.
        """
        proxy = f"{self._path('Pod')}/http:{name}:{port}/proxy{path}"
        try:
            response = self._send_once("GET", proxy, allow=range(100, 600), timeout=timeout)
        except _AwayError as error:
            if not error.arrived:
                raise
            raise ClusterError(f"no answer came through {self.address} in time") from None
        return int(response.status_code), str(response.text)

    def node_platforms(self) -> tuple[str, ...]:
        """Return the nodes' platforms, such as ``linux/amd64``; empty where we may not see them."""
        response = self._send("GET", "/api/v1/nodes", params={"limit": str(_PAGE)}, allow=(403,))
        if response.status_code == HTTPStatus.FORBIDDEN:
            return ()
        labels = [each["metadata"].get("labels", {}) for each in self._json(response)["items"]]
        keys = ("kubernetes.io/os", "kubernetes.io/arch")
        return tuple(sorted({"/".join(each.get(key, "") for key in keys) for each in labels}))

    def clock(self) -> datetime:
        """Return the API server's clock, so that machines with different clocks can share a lock.

        Source: RFC 9110, section 6.6.1, "Date".
        """
        return parsedate_to_datetime(self._send("GET", "/version").headers["Date"])

    def _path(self, kind: str) -> str:
        return self._path_of(*_PATHS[kind])

    def _path_of(self, api: str, plural: str) -> str:
        return f"/{api}/namespaces/{self.namespace}/{plural}"

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Send a request as ``_send_once``, again where that is safe, while there is patience."""
        deadline = time.monotonic() + self._patience

        def safe(error: Exception) -> bool:
            # A write that arrived may have been done: whoever wrote has to look before it writes
            # again.
            away = isinstance(error, _AwayError) and (method == "GET" or not error.arrived)
            return away and time.monotonic() <= deadline

        return retry(
            lambda: self._send_once(method, path, **request),
            again=safe,
            waits=itertools.repeat(0.5),
            sleep=self._pause,
        )

    def _send_once(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        allow: Container[int] = (),
        timeout: float = 30.0,
    ) -> httpx2.Response:
        import httpx2

        try:
            response = self._http.request(
                method, path, params=params, headers=headers, json=body,
                # To connect takes no 30 seconds where there is a path at all.
                timeout=httpx2.Timeout(timeout, connect=5.0),
            )  # fmt: skip
        except httpx2.HTTPError as error:
            # Without a connection nothing was sent; of all other errors nobody knows.
            unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            cause = str(error) or type(error).__name__
            raise _AwayError(
                f"The cluster at {self.address} can't be reached: {cause}.",
                hint=self._hint,
                arrived=not unsent,
            ) from None
        if response.status_code in allow or response.is_success:
            return response
        raise self._refused(response, method, path)

    def _pause(self, seconds: float) -> None:
        if self.halt.wait(seconds):
            raise ClusterError(f"The cluster at {self.address} went away during Ctrl-C.")

    def _refused(self, response: httpx2.Response, method: str, path: str) -> DeployError:
        words = _status_message(response)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            return ClusterError(
                f"The cluster at {self.address} refuses the kubeconfig's credentials (401).",
                hint="sign in again; for AKS: az aks get-credentials and kubelogin.",
            )
        if response.status_code == HTTPStatus.FORBIDDEN:
            return DeployError(
                f"The cluster at {self.address} forbids {method} {path} (403): {words}",
                hint="ask for a role that allows it: kubectl auth can-i --list "
                f"-n {self.namespace} shows what you have.",
            )
        if response.status_code == HTTPStatus.CONFLICT:
            return Conflict(f"{method} {path}: {words}")
        if response.status_code in _BUSY:
            return _AwayError(
                f"The cluster at {self.address} answers {response.status_code}: {words}",
                hint=self._hint,
                # 429 is said in place of acting on it.
                arrived=response.status_code != HTTPStatus.TOO_MANY_REQUESTS,
            )
        return DeployError(f"The cluster refused {method} {path} ({response.status_code}): {words}")

    def _json(self, response: httpx2.Response) -> dict[str, Any]:
        try:
            document = parse_json(response.content, largest=_LARGEST, most_values=_MOST_VALUES)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ClusterError(
                f"{self.address} does not answer as a Kubernetes API server does.", hint=self._hint
            )
        return document


def connect(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    *,
    create_namespace: bool = False,
    only_look: bool = False,
    embedded: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Cluster:
    """Reach the cluster of a kubeconfig's context and make sure that the namespace exists.

    :param only_look: don't mind whether the namespace exists; where it does not, nothing is.
    :param embedded: the local platform, whose hint is ``nox -s up``.
    :param variables: name the proxy, as they do for Helm (``aksci.core.http``).
    :raises ConfigError: the kubeconfig, its context or the namespace does not exist.
    :raises ClusterError: the cluster can't be reached or refuses the credentials.
    """
    config = _load(kubeconfig, context, embedded=embedded)
    address = config.cluster.server
    hint = "nox -s up" if embedded else f"is {address} right, and is there a network path to it?"
    http = _http(config, kubeconfig, proxy_for(address, variables or {}))
    return open_cluster(
        http,
        address=address,
        namespace=namespace,
        context_name=config.context_name,
        create_namespace=create_namespace,
        only_look=only_look,
        hint=hint,
    )


def open_cluster(
    http: httpx2.Client,
    *,
    address: str,
    namespace: str,
    hint: str,
    context_name: str | None = None,
    create_namespace: bool = False,
    only_look: bool = False,
) -> Cluster:
    """Reach a cluster over an HTTP client, which it then owns; the rest is as for ``connect``.

    :param address: for messages.
    :param context_name: the kubeconfig's context, where there is one.
    """
    cluster = Cluster(http, address=address, namespace=namespace, hint=hint)
    cluster.context_name = context_name
    try:
        version = cluster._json(cluster._send("GET", "/version"))  # noqa: SLF001 - our own class
        cluster.kube_version = _kube_version(version)
        if not only_look:
            _ensure_namespace(cluster, create=create_namespace)
    except BaseException:
        cluster.close()
        raise
    # Until here none: a wrong address should be told at once.
    cluster._patience = _PATIENCE  # noqa: SLF001 - it answers: from now on wait
    return cluster


def _kube_version(version: Mapping[str, Any]) -> str:
    """Read the answer of /version, where a build without version stamps says 0.0.0 in one place."""
    # Managed clusters say "34+" for a minor version with patches of their own.
    series = f"{version.get('major', '')}.{str(version.get('minor', '')).rstrip('+')}"
    full = str(version.get("gitVersion", "")).removeprefix("v").split("-")[0].split("+")[0]
    return full if full.startswith(f"{series}.") else f"{series}.0"


def _load(kubeconfig: Path | None, context: str | None, *, embedded: bool) -> SingleConfig:
    from lightkube import KubeConfig

    if kubeconfig is None:
        raise ConfigError(
            "No kubeconfig is known for this environment.",
            hint="set 'kubeconfig' in its table in aksci.toml, or the variable KUBECONFIG.",
        )
    if not kubeconfig.is_file():
        if embedded:
            raise ClusterError(
                f"The local cluster is not up: {kubeconfig} does not exist.", hint="nox -s up"
            )
        raise ConfigError(f"The kubeconfig {kubeconfig} does not exist.")
    try:
        loaded = KubeConfig.from_file(kubeconfig)
        known = sorted(loaded.contexts)
        chosen = loaded.get(context) if context is None or context in known else None
    except Exception as error:  # noqa: BLE001 - a library with many ways to fail
        raise ConfigError(f"The kubeconfig {kubeconfig} can't be used: {error}.") from None
    if chosen is None:
        raise ConfigError(
            f"{kubeconfig}: there is no context {context!r}.",
            hint=f"contexts: {', '.join(known) or 'none'}.",
        )
    return chosen


def _http(config: SingleConfig, kubeconfig: Path | None, proxy: str | None) -> httpx2.Client:
    from lightkube.config import client_adapter
    from lightkube.core.exceptions import ConfigError as LightkubeConfigError

    if config.user is None:
        raise ConfigError(f"{kubeconfig}: context {config.context_name!r} names no user.")
    try:
        # Our own rule for proxies, the same as Helm's, and no variable of the process behind our
        # back.
        options = client_adapter.ConnectionParams(trust_env=False, proxy=proxy)
        return client_adapter.Client(config, options)
    except (LightkubeConfigError, OSError, ValueError) as error:
        raise ConfigError(
            f"{kubeconfig}: the certificates of context {config.context_name!r} "
            f"can't be used: {error}."
        ) from None


def _ensure_namespace(cluster: Cluster, *, create: bool) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}"
    response = cluster._send("GET", path, allow=(403, 404))  # noqa: SLF001 - our own class
    if response.status_code == HTTPStatus.FORBIDDEN:
        return  # many users may not look at namespaces and yet work inside theirs
    if response.status_code == HTTPStatus.NOT_FOUND:
        if not create:
            raise ConfigError(
                f"There is no namespace {cluster.namespace!r} in the cluster at {cluster.address}.",
                hint=f"kubectl create namespace {cluster.namespace}, or create_namespace = true.",
            )
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": cluster.namespace,
                "labels": {"app.kubernetes.io/managed-by": "aksci"},
            },
        }
        # 409: another run has made it between our look and this.
        cluster._send("POST", "/api/v1/namespaces", body=body, allow=(409,))  # noqa: SLF001
    elif (cluster._json(response).get("status") or {}).get("phase") == "Terminating":  # noqa: SLF001
        raise ConfigError(
            f"The namespace {cluster.namespace!r} is being deleted.",
            hint=f"kubectl wait --for=delete namespace/{cluster.namespace}, then run again.",
        )


def _status_message(response: httpx2.Response) -> str:
    from aksci.core.text import sanitise

    try:
        return sanitise(str(parse_json(response.content)["message"])[:_LONGEST])
    except MALFORMED:
        return sanitise(str(response.text)[:300])
