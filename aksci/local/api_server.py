"""The few questions that the platform asks its own API server, without a client library's cost."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aksci.core.errors import PlatformError
from aksci.core.strict_json import parse_json
from aksci.local.control_plane import NODE, client_tls

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Api", "node_ready", "wait_for"]

_TIMEOUT = 10.0  # seconds
_POLL = 0.1  # seconds
_OWNER = "aksci"


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API server as the administrator reaches it: through 127.0.0.1, as everybody else."""

    port: int
    pki: Path

    def get(self, path: str) -> dict[str, Any] | None:
        """Return a resource, or None when the server can't be asked or does not answer 200."""
        try:
            status, body = self._ask("GET", path)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return body if status == http.client.OK else None

    def apply(self, path: str, resource: dict[str, Any]) -> None:
        """Create or update a resource (server-side apply).

        :raises PlatformError: the server refused it.
        """
        # force: an earlier aksci, or a hand, may own a field; here the platform decides.
        query = f"{path}?fieldManager={_OWNER}&force=true"
        try:
            status, body = self._ask("PATCH", query, json.dumps(resource))
        except (OSError, http.client.HTTPException) as error:
            raise PlatformError(f"The API server did not take {path}: {error}.") from None
        if status not in {http.client.OK, http.client.CREATED}:
            raise PlatformError(
                f"The API server refused {path} with {status}: {body.get('message', '')}"
            )

    def delete(self, path: str) -> None:
        """Delete a resource; it may be gone already.

        :raises PlatformError: the server can't be asked.
        """
        try:
            self._ask("DELETE", path)
        except (OSError, http.client.HTTPException) as error:
            raise PlatformError(f"The API server did not delete {path}: {error}.") from None

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=_TIMEOUT, context=client_tls(self.pki, "admin")()
        )
        try:
            # Server-side apply takes YAML, of which JSON is a part.
            headers = {"Content-Type": "application/apply-patch+yaml"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
            try:
                return response.status, parse_json(text)
            except ValueError:
                return response.status, {"message": text.decode(errors="replace")}
        finally:
            connection.close()


def wait_for(
    what: str,
    ready: Callable[[], bool],
    *,
    patience: float,
    stopping: threading.Event,
    logs: Path,
) -> None:
    """Wait until ``ready`` says so.

    :param logs: where a user finds out why it did not.
    :raises PlatformError: it did not within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not ready():
        # When the run stops, the failure that stopped it is what is told.
        if time.monotonic() > deadline or stopping.wait(_POLL):
            raise PlatformError(
                f"{what} was not ready within {patience:g} s.", hint=f"its logs are in {logs}."
            )


def node_ready(api: Api, *, since: float) -> bool:
    """Tell whether the node takes pods, and has said so since its kubelet was started.

    :param since: when that was, in seconds of the epoch.
    """
    node = api.get(f"/api/v1/nodes/{NODE}") or {}
    for condition in node.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            said = datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp()
            return said >= since - 1  # it is given in whole seconds
    return False
