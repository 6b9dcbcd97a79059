"""The step ``compare_releases``: what differs between two releases, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.steps.load_release_step import load_release
from aksci.supply.release.commits import read_commits
from aksci.supply.release.compare import compare_releases as compare
from aksci.supply.release.release_evidence import load_evidence

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.compare import Comparison
    from aksci.supply.release.release import Release

__all__ = ["compare_releases"]


def compare_releases(
    env: Environment,
    old: Release | ImageRef | str,
    new: Release | ImageRef | str | None = None,
) -> Comparison:
    """Compare two releases: images and why, packages, findings, charts, migrations, commits.

    It also compares a release that is not verified, and reports that as an error at once;
    ``.require()`` refuses it.

    >>> changed = compare_releases(env, "r-1c0ffee5eed5")  # doctest: +SKIP
    >>> [image.name for image in changed.images]  # doctest: +SKIP
    ['catalog', 'python']

    :param old: as ``load_release`` takes it.
    :param new: the same. Default: the last build's here; without one, the registry's last.
    :raises UsageError: there is no such release, or the text names several.
    :raises RegistryError: the registry does not answer, or a release is damaged.
    """
    here = env.looking
    before, after = gather(lambda ref: load_release(env, ref), [old, new], limit=2, name="release")
    unverified = [each for each in (before, after) if each.problem]
    for each in unverified:
        env.reporter.error(f"{each.release.ref} is NOT VERIFIED: {each.problem}")
    first, last = before.release, after.release
    return compare(
        first,
        last,
        evidence_before=load_evidence(here.registry, first, other=last),
        evidence_after=load_evidence(here.registry, last, other=first),
        commits=read_commits(env.root, first.commit, last.commit, runner=env.runner),
        problems=tuple(f"{each.release.ref}: {each.problem}" for each in unverified),
    )
