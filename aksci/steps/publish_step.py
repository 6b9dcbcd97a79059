"""The step ``publish``: stable tags, and the release. It is what the session ``push`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.git import source_commit
from aksci.supply.scan.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.environment import Environment
    from aksci.images.build.build_record import Build
    from aksci.supply.release.chart import Chart
    from aksci.supply.release.release import Release
    from aksci.supply.scan.verdict import Verdict

__all__ = ["publish"]


def publish(env: Environment, build: Build, verdicts: Mapping[str, Verdict]) -> Release | None:
    """Move the stable tags to a build's signed images; of a build of all images, make the release.

    >>> made = env.last_build()  # doctest: +SKIP
    >>> publish(env, made, scan(env, made)).ref  # doctest: +SKIP
    ImageRef(registry='localhost:5000', repository='shop/release', digest='sha256:…')

    Every image is verified, and every chart read, before any tag moves. A second call moves
    nothing, and makes the same release.

    :returns: the signed release; None where the build left images out, since it would lack them.
    :raises AksciError: images of the build failed.
    :raises UsageError: the sources are not those that were built, or build or verdicts are of
        another environment.
    :raises TrustError: an image is not signed with this verdict bound in.
    """
    build.require_environment(env.name)
    if isinstance(verdicts, Verdicts):
        verdicts.require_environment(env.name)
    build.require()
    build.require_commit(source_commit(env.root, runner=env.runner))
    with env.reporter.group("push"):
        release = _publish(env, build, verdicts)
    env.note("publish", {"release": str(release.ref) if release else None})
    return release


def _publish(env: Environment, build: Build, verdicts: Mapping[str, Verdict]) -> Release | None:
    from aksci.images.build.stable_tags import publish_tags
    from aksci.supply.release.make_release import read_charts
    from aksci.supply.sign.sign_build import require_signed

    require_signed(build, verdicts, env.signer)
    # Before a tag moves: a release that can't be made leaves none at what is in no release.
    charts = read_charts(env.config, env.root) if build.complete else {}
    for move in publish_tags(build, env.registry):
        env.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
    if not build.complete:
        env.reporter.line(
            f"no release: {len(build.left_out)} of the project's images were left out (--only)"
        )
        return None
    return _release(env, build, charts, verdicts)


def _release(
    env: Environment,
    build: Build,
    charts: Mapping[str, Chart],
    verdicts: Mapping[str, Verdict],
) -> Release:
    from aksci.supply.release.make_release import make_release
    from aksci.supply.release.release_file import write_release_file
    from aksci.supply.release.sign_release import publish_release
    from aksci.supply.sign.sign_build import build_origin

    release = make_release(
        build,
        config=env.config,
        root=env.root,
        charts=charts,
        verdicts=verdicts,
        registry=env.registry,
    )
    origin = build_origin(build)
    publish_release(release, registry=env.registry, signer=env.signer, origin=origin)
    write_release_file(env.work_folder, release, run=env.run_id)
    env.reporter.line(f"release {release.ref}")
    env.reporter.output("release", str(release.ref))
    return release
