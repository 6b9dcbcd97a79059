"""The step ``down``: the embedded local platform, stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.local.platform import down as stop

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["down"]


def down(env: Environment, *, purge: bool = False) -> None:
    """Stop the embedded platform, and nothing else: no process, mount or interface of it is left.

    >>> down(env, purge=True)  # doctest: +SKIP

    :param purge: remove images, the build cache and the cluster's objects, too.
    :raises PrivilegeError: not root.
    :raises PlatformError: something could not be taken away.
    """
    stop(state=env.platform, runner=env.runner, reporter=env.reporter, purge=purge)
    env.note("down", {"purge": purge})
