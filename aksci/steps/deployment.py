"""What the steps that deploy share: the tools, and the verified release with its charts."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.deploy.opened_release import open_release
from aksci.deploy.rollback import choose_release
from aksci.deploy.state.deploy_record import read_record
from aksci.oci.references import ImageRef
from aksci.supply.release.release import Release
from aksci.supply.release.verify_release import load_verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.deploy.opened_release import OpenedRelease
    from aksci.environment import Environment

__all__ = ["as_reference", "earlier_release", "opened", "prepare_deploy", "verified_release"]


def as_reference(release: Release | ImageRef | str | None) -> ImageRef:
    """Return which release is meant.

    :raises UsageError: it is None, which ``publish`` returns for a build of a part of the project:
        the last release is not what was meant.
    :raises ConfigError: a text is not ``registry/repository@sha256:…``.
    """
    if release is None:
        raise UsageError(
            "There is no release to deploy: None was given, which publish returns where the build "
            "was of a part of the project.",
            hint="env.last_release() is the last one; nox -s build, without --only, makes one.",
        )
    if isinstance(release, Release):
        return release.ref
    return release if isinstance(release, ImageRef) else ImageRef.parse(release)


def earlier_release(env: Environment, to: Release | ImageRef | str | None) -> ImageRef:
    """Return the release in the environment's history to roll back to, and report it.

    :param to: a text may also be a digest, or at least its first 6 digits.
    :raises UsageError: the history has no such release.
    """
    named = to.ref if isinstance(to, Release) else to
    with env.cluster(only_look=True) as cluster:
        record = read_record(cluster)
    ref = ImageRef.parse(choose_release(record, str(named) if named is not None else None))
    env.reporter.line(f"going back to {ref}")
    return ref


def prepare_deploy(env: Environment) -> None:
    """Make sure that all is there that a deployment needs: the cluster, and the tools at once."""
    env.prepare(cluster=True)
    env.toolbox.ensure_all(env.deploy_tools)


def verified_release(env: Environment, ref: ImageRef, *, tell: bool = True) -> Release:
    """Read a release of the environment's registry and verify it with all that it names.

    :raises UsageError: it is in another registry.
    :raises TrustError: it is another project's, or something of it is not trusted.
    """
    registry = env.registry
    if ref.registry != registry.host:
        raise UsageError(
            f"The release {ref} is not in {registry.host}, the registry of {env.name!r}.",
            hint=f"nox -s build deploy -- --env {env.name}",
        )
    project = env.config.project.name
    release = load_verified(registry, ref, project=project, signer=env.signer)
    if tell:
        count = len(release.images)
        images = "its image" if count == 1 else f"its {count} images"
        env.reporter.line(f"verified {release.tag}: the release and {images}")
    return release


@contextmanager
def opened(env: Environment, ref: ImageRef) -> Iterator[OpenedRelease]:
    """Verify a release and fetch its charts, for as long as they are needed."""
    release = verified_release(env, ref)
    with tempfile.TemporaryDirectory(prefix="aksci-charts-") as folder:
        yield open_release(release, env.registry, Path(folder))
