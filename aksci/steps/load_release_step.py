"""The step ``load_release``: one release of the registry, verified or known not to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.supply.release.find_release import find_release, latest_release
from aksci.supply.release.make_release import load_release as read_release
from aksci.supply.release.release import Release
from aksci.supply.release.verify_release import check_release

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.verify_release import CheckedRelease

__all__ = ["load_release"]


def load_release(
    env: Environment, release: Release | ImageRef | str | None = None
) -> CheckedRelease:
    """Load a release and verify it, with every image and every chart that it names.

    What is not verified is loaded all the same: ``.problem`` says why, and ``.require()`` refuses
    it. Nothing is started.

    >>> load_release(env, "latest").require().images["web"].ref.digest  # doctest: +SKIP
    'sha256:9f86d0…'

    :param release: it, or what a person writes for it: ``registry/repository@sha256:…``,
        ``latest``, a tag ``r-…``, or as much of the digest as only one release has. Default: the
        last build's here; without one, the registry's last.
    :raises UsageError: there is no such release, or the text names several.
    :raises RegistryError: the registry does not answer, or the release is damaged.
    """
    here = env.looking
    return check_release(read_release(here.registry, _ref(here, release)), signer=here.signer)


def _ref(env: Environment, release: Release | ImageRef | str | None) -> ImageRef:
    if isinstance(release, str):
        return find_release(env.registry, env.config.project.name, release)
    if release is not None:
        return release.ref if isinstance(release, Release) else release
    try:
        return env.last_release()
    except UsageError:
        found = latest_release(env.registry, env.config.project.name)
        if found is None:
            raise
        return found
