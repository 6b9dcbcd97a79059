"""The step ``list_releases``: which releases a registry has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.supply.release.find_release import list_releases as list_in_registry

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.supply.release.find_release import ReleaseList

__all__ = ["list_releases"]


def list_releases(env: Environment) -> ReleaseList:
    """List the project's releases in the environment's registry, the last signed first.

    Each release's own signature is verified; what it names is not, since there may be hundreds.
    Nothing is started.

    >>> [(one.tag, one.state) for one in list_releases(env).releases]  # doctest: +SKIP
    [('r-1c0ffee5eed5', 'signed'), ('r-0ddba11c0de5', 'UNSIGNED')]

    :raises RegistryError: the registry does not answer. A damaged release is listed as that.
    """
    here = env.looking
    return list_in_registry(here.registry, here.config.project.name, signer=here.signer)
