"""Build a project's images: each once its parents are done, none that is built already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.images.build.build_record import Build
from aksci.images.build.build_requests import BuildSettings
from aksci.images.build.build_run import ImageCheck, Run
from aksci.images.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.core.reporting import Reporter
    from aksci.images.bases import BaseResolver
    from aksci.images.build.build_record import BuiltImage, Failure
    from aksci.images.engines.builder import Builder
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["BuildSettings", "build_images"]


def build_images(
    graph: Graph,
    *,
    registry: Registry,
    builder: Builder,
    bases: BaseResolver,
    settings: BuildSettings,
    reporter: Reporter,
    now: Callable[[], datetime],
    force: frozenset[str] = frozenset(),
    selected: frozenset[str] | None = None,
    validator: ImageCheck | None = None,
    failures: Mapping[str, Failure] | None = None,
    trusted: Callable[[ImageRef, str], bool] | None = None,
    gate: Callable[[str, BuiltImage], object] | None = None,
) -> Build:
    """Build what is not built yet; a failure stops only its dependents.

    An image is finished when the tag ``in-<input key>`` names it in the registry; that tag is set
    last, once the pushed manifest was read back, and the image and all that it is based on were
    validated. Its dependents are built meanwhile, unless there is a gate. What succeeded stays when
    others fail, so that the next run goes on from there. An opaque image is always built.

    :param bases: tells what FROM means now.
    :param force: images to build again in any case, without layer cache.
    :param selected: the images to look at, with all that they need; None: all.
    :param validator: raises ``ValidationError`` for an image that does not run as it must.
    :param failures: of the last runs, to say that an image is tried again.
    :param trusted: tells whether a finished build (digest, input key) is trusted; what is not, is
        built again. None: all are.
    :param gate: is called for each image, built or found, before anything is built on it, in
        several threads. An ``AksciError`` that it raises fails that image.
    :raises ConfigError: an image to build again is not among the selected.
    """
    lookup = Lookup(
        graph=graph,
        registry=registry,
        bases=bases,
        force=force,
        failures=failures or {},
        trusted=trusted,
        known=settings.known,
    )
    run = Run(
        lookup=lookup,
        builder=builder,
        settings=settings,
        reporter=reporter,
        now=now,
        validator=validator,
        gate=gate,
    )
    outcome = run.over(run.image, selected=selected)
    images = {name: one.image for name, one in sorted(outcome.done.items())}
    seen = {*images, *outcome.failed, *outcome.blocked}
    return Build(
        run_id=settings.run_id,
        commit=settings.revision,
        environment=settings.environment,
        images=images,
        failed={name: error.message for name, error in sorted(outcome.failed.items())},
        blocked=outcome.blocked,
        left_out=tuple(sorted(set(graph.images) - seen)),
        errors=outcome.failed,
        refused=run.refused,
        keys=run.keys,
    )
