"""The step ``status``: the local platform, and what runs in the environment. It starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.deploy.environment_status import EnvironmentStatus
from aksci.deploy.namespace_status import read_status

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["status"]


def status(env: Environment) -> EnvironmentStatus:
    """Look at the parts of the embedded platform, and at each service's pods.

    >>> found = status(env)  # doctest: +SKIP
    >>> [each.name for each in found.namespace.services if not each.healthy]  # doctest: +SKIP
    []

    :returns: ``namespace`` is None where the environment is on the embedded platform, and that, or
        its Kubernetes, is not up.
    :raises ClusterError: the cluster can't be reached.
    """
    platform = None
    if env.settings.platform == "embedded":
        from aksci.local.platform import status as platform_status

        platform = platform_status(state=env.platform)
        if not (platform.healthy and platform.has_cluster):
            return EnvironmentStatus(platform=platform, namespace=None)
    with env.looking.cluster() as cluster:
        found = read_status(cluster, env.config.services, env.target.observe)
    return EnvironmentStatus(platform=platform, namespace=found)
