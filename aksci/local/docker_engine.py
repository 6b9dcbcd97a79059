"""Docker Engine, where an environment asks for it instead of the embedded BuildKit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.core.concurrency import import_first
from aksci.core.errors import DockerError
from aksci.local.part import listens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import DockerClient

__all__ = ["docker_engine", "has_containerd_store"]

_T = TypeVar("_T")

_TIMEOUT = 10  # seconds
_DEFAULT = "unix:///var/run/docker.sock"


def docker_engine(variables: Mapping[str, str]) -> str:
    """Return the version of the Docker Engine that the variables (``DOCKER_HOST``…) lead to.

    :raises DockerError: there is none, or it does not answer.
    """
    return _ask(variables, lambda client: str(client.version()["Version"]))


def has_containerd_store(variables: Mapping[str, str]) -> bool:
    """Tell whether a Docker Engine keeps its images in containerd, not in a store of its own.

    :raises DockerError: there is none, or it does not answer.
    """
    return _ask(variables, lambda client: _in_containerd(client.info()))


def _in_containerd(info: Mapping[str, Any]) -> bool:
    """Read Docker's API, ``/info``: ``DriverStatus`` is a list of pairs."""
    pairs = [list(pair) for pair in info.get("DriverStatus") or ()]
    return ["driver-type", "io.containerd.snapshotter.v1"] in pairs


def _ask(variables: Mapping[str, str], question: Callable[[DockerClient], _T]) -> _T:
    address = variables.get("DOCKER_HOST") or _DEFAULT
    scheme, _, path = address.partition("://")
    # Asked first, because the SDK leaks a socket when nobody listens.
    if scheme == "unix" and not listens(Path(path)):
        raise _unreachable(address, "nobody listens there")
    import_first("docker")
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        # The run's variables, and not the process's: they may name another engine.
        client = docker.from_env(timeout=_TIMEOUT, environment=dict(variables))
        try:
            return question(client)
        finally:
            client.close()
    except (DockerException, RequestException, OSError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, why: str) -> DockerError:
    return DockerError(
        f"Docker Engine does not answer at {address}: {why}.",
        hint='start it (systemctl start docker), or set platform = "embedded" in the environment\'s'
        " table in aksci.toml.",
    )
