"""Build a project's images: each once its parents are done, none that is built already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import BuildError, RegistryError
from aksci.images.build.build_run import BuildSettings, ImageCheck, Run
from aksci.images.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.core.errors import AksciError
    from aksci.core.reporting import Reporter
    from aksci.images.bases import BaseResolver
    from aksci.images.build.build_record import BuiltImage, Failure
    from aksci.images.engines.builder import Builder
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["BuildResult", "BuildSettings", "build_images"]

_LOOKUPS = 16
"""Threads: most images are only looked up. What builds at once is limited by ``concurrency``."""


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What became of each image that was asked for."""

    images: dict[str, BuiltImage]
    """Those that are finished, by name, sorted."""
    failed: Mapping[str, AksciError]
    blocked: Mapping[str, frozenset[str]]
    """Images that were not tried, and the failures that are to blame."""
    keys: Mapping[str, str]
    """Input keys, of failed images too, as far as they were computed."""

    @property
    def error(self) -> AksciError | None:
        """All failures as one error; None when there is none."""
        return _failure(self) if self.failed else None

    def require(self) -> dict[str, BuiltImage]:
        """Return every image by name, or raise all failures as one error."""
        if self.error:
            raise self.error
        return self.images


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
) -> BuildResult:
    """Build what is not built yet; a failure stops only its dependents.

    An image is finished when the tag ``in-<input key>`` names it in the registry; that tag is set
    last, after the pushed manifest has been read back and the image was validated. What succeeded
    stays when others fail, so that the next run goes on from there. An opaque image is always
    built.

    :param bases: tells what FROM means now.
    :param force: images to build again in any case, without layer cache.
    :param selected: the images to look at, with all that they need; None: all.
    :param validator: raises ``ValidationError`` for an image that does not run as it must.
    :param failures: of the last runs, to say that an image is tried again.
    :param trusted: tells whether a finished build (digest, input key) is trusted; what is not, is
        built again. None: all are.
    :raises ConfigError: an image to build again is not among the selected.
    """
    lookup = Lookup(
        graph=graph,
        registry=registry,
        bases=bases,
        force=force,
        failures=failures or {},
        trusted=trusted,
    )
    run = Run(
        lookup=lookup,
        builder=builder,
        settings=settings,
        reporter=reporter,
        now=now,
        validator=validator,
    )
    workers = max(_LOOKUPS, settings.concurrency)
    outcome = lookup.run(run.image, selected=selected, workers=workers, stop=run.stop)
    return BuildResult(
        images={name: one.image for name, one in sorted(outcome.done.items())},
        failed=outcome.failed,
        blocked=outcome.blocked,
        keys=run.keys,
    )


def _failure(result: BuildResult) -> AksciError:
    """Make one error of all failures: its exit status that of the worst, its end their output."""
    errors = [result.failed[name] for name in sorted(result.failed)]
    # The registry failed, or the configuration is wrong: for most images alike, so it is told once.
    if not any(isinstance(error, BuildError) for error in errors):
        messages = dict.fromkeys(error.message for error in errors)
        if len(messages) == 1 or not all(isinstance(error, RegistryError) for error in errors):
            return errors[0]
        return RegistryError("\n".join(messages), hint=errors[0].hint)
    failed = ", ".join(sorted(result.failed))
    lines = [f"{len(errors)} of the images did not build: {failed}."]
    if result.blocked:
        blocked = (
            f"{name} (needs {', '.join(sorted(blame))})"
            for name, blame in sorted(result.blocked.items())
        )
        lines.append(f"Not tried: {', '.join(blocked)}.")
    if result.images:
        lines.append(f"Done, and kept: {_names(result.images)}.")
    hint = next((error.hint for error in errors if error.hint), None)
    text = "\n\n".join(dict.fromkeys(error.message for error in errors))
    kinds = {type(error) for error in errors}
    # Failures of one kind keep its exit status, such as a validation's.
    kind = kinds.pop() if len(kinds) == 1 else BuildError
    return kind("\n".join(lines) + f"\n\n{text}", hint=hint)


def _names(images: Mapping[str, BuiltImage]) -> str:
    """Return the names of what was built; what was there before is only counted."""
    built = [name for name, image in images.items() if image.made]
    reused = len(images) - len(built)
    return ", ".join([*built, *([f"{reused} unchanged"] if reused else [])])
