"""Docker Engine, where an environment asks for it instead of the embedded BuildKit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.errors import DockerError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["docker_engine"]

_TIMEOUT = 10  # seconds


def docker_engine(variables: Mapping[str, str]) -> str:
    """Return the version of the Docker Engine that the variables (``DOCKER_HOST``…) lead to.

    :raises DockerError: there is none, or it does not answer.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.from_env(timeout=_TIMEOUT, environment=dict(variables))
        try:
            return str(client.version()["Version"])
        finally:
            client.close()
    except (DockerException, RequestException, OSError) as error:
        where = variables.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        raise DockerError(
            f"Docker Engine does not answer at {where}: {error}.",
            hint='start it (systemctl start docker), or remove `platform = "docker"` from the'
            " environment in aksci.toml to use the embedded platform.",
        ) from None
