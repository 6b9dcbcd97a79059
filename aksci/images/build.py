"""Build a project's images: each once its parents are done, none that is built already."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.errors import AksciError, BuildError, ConfigError
from aksci.images.builder import BuildRequest, BuildSecret
from aksci.images.graph import SYNTAX_ARG, read_image
from aksci.images.inputs import Inputs, inputs_of
from aksci.images.keys import KEY_SCHEMA, in_tag, source_of, unchecked_tag
from aksci.images.lineage import Lineage, read_lineage, write_lineage
from aksci.images.names import parse_reference
from aksci.images.reasons import Reason, reasons_for
from aksci.images.record import BuiltImage
from aksci.images.scheduler import Outcome, run_ready
from aksci.images.tree import TreeHasher
from aksci.registry.refs import ImageRef
from aksci.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.config import Config
    from aksci.images.builder import Builder, BuildOutput
    from aksci.images.graph import Graph
    from aksci.registry import Registry
    from aksci.reporting import Reporter

__all__ = ["BuildSettings", "build_images", "load_secrets"]

_LOOKUPS = 16
"""Threads: most images are only looked up. What builds at once is limited by ``concurrency``."""


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What is the same for all images of a run."""

    concurrency: int = 2
    """How many images build at once."""
    timeout: float = 3600
    """For one image, in seconds."""
    secrets: tuple[BuildSecret, ...] = ()
    source: str = ""
    """Address of the source repository."""
    revision: str = ""
    """Commit of the source tree."""


def build_images(
    graph: Graph,
    *,
    registry: Registry,
    builder: Builder,
    resolve_external: Callable[[str], str],
    settings: BuildSettings,
    reporter: Reporter,
    now: Callable[[], datetime],
    force: frozenset[str] = frozenset(),
    only: frozenset[str] = frozenset(),
) -> dict[str, BuiltImage]:
    """Build what is not built yet, and return every image by name.

    An image is finished when the tag ``in-<input key>`` names it in the registry; that tag is set
    last, after the pushed manifest has been read back. What succeeded stays when others fail, so
    that the next run goes on from there. An opaque image is always built.

    :param resolve_external: returns the digest that the full reference of a base means now.
    :param force: images to build again in any case, without layer cache.
    :param only: these and what they need; empty: all.
    :raises BuildError: some did not build. The failing steps' output ends the message.
    """
    wanted = graph.with_parents(only) if only else frozenset(graph.images)
    unknown = force - set(graph.images)
    if unknown:
        raise ConfigError(f"There is no image {', '.join(sorted(unknown))} to build again.")
    run = _Run(graph, registry, builder, resolve_external, settings, reporter, now, force)
    parents = {name: graph.parents[name] for name in graph.order if name in wanted}
    outcome = run_ready(
        parents, run.image, workers=max(_LOOKUPS, settings.concurrency), stop=builder.stop
    )
    if outcome.failed:
        raise _failure(outcome)
    return dict(sorted(outcome.done.items()))


def load_secrets(
    config: Config, *, root: Path, variables: Mapping[str, str]
) -> tuple[BuildSecret, ...]:
    """Find the build secrets of aksci.toml.

    :raises ConfigError: one is missing and not optional.
    """
    found = []
    for name, secret in sorted(config.build.secrets.items()):
        if secret.file is not None:
            path = root / secret.file
            if path.is_file():
                found.append(BuildSecret(id=name, file=path))
                continue
            missing = f"the file {path} does not exist"
        else:
            value = variables.get(secret.env or "")
            if value is not None:
                found.append(BuildSecret(id=name, value=Secret(value)))
                continue
            missing = f"the variable {secret.env} is not set"
        if not secret.optional:
            raise ConfigError(
                f"The build secret {name} is missing: {missing}.",
                hint=f"provide it, or set [build.secrets.{name}] optional = true.",
            )
    return tuple(found)


class _Run:
    """One run over a graph. ``image`` is called from several threads."""

    def __init__(
        self,
        graph: Graph,
        registry: Registry,
        builder: Builder,
        resolve_external: Callable[[str], str],
        settings: BuildSettings,
        reporter: Reporter,
        now: Callable[[], datetime],
        force: frozenset[str],
    ) -> None:
        self._graph = graph
        self._registry = registry
        self._builder = builder
        self._resolve_external = resolve_external
        self._settings = settings
        self._reporter = reporter
        self._now = now
        self._force = force
        self._hasher = TreeHasher(graph.root)
        self._slots = threading.BoundedSemaphore(settings.concurrency)

    def image(self, name: str, parents: Mapping[str, BuiltImage]) -> BuiltImage:
        """Look one image up, or build it."""
        started = time.monotonic()
        inputs = inputs_of(
            self._graph,
            name,
            hasher=self._hasher,
            registry_host=self._registry.host,
            built={parent: image.ref.digest for parent, image in parents.items()},
            resolve_external=self._resolve_external,
        )
        key = inputs.key
        if key is None:  # pragma: no cover - all parents are in ``parents``
            raise BuildError(f"{name}: a parent has no digest.")
        spec = self._graph.images[name].spec
        digest = None
        reasons: tuple[Reason, ...] = ()
        if inputs.reusable and name not in self._force:
            digest = self._registry.resolve(spec.repository, in_tag(key))
        action = "reused" if digest else "built"
        if digest is None:
            reasons = self._reasons(name, inputs)
            with self._slots:
                started = time.monotonic()
                digest = self._build(name, inputs, key)
        seconds = time.monotonic() - started
        self._reporter.line(f"[{name}] {action} {digest} ({seconds:.1f} s)")
        return BuiltImage(
            name=name,
            ref=ImageRef(self._registry.host, spec.repository, digest),
            input_key=key,
            tags=spec.tags,
            action="reused" if action == "reused" else "built",
            reasons=reasons,
            seconds=seconds,
        )

    def _reasons(self, name: str, inputs: Inputs) -> tuple[Reason, ...]:
        if name in self._force:
            return ({"code": "FORCED"},)
        image = self._graph.images[name]
        previous = read_lineage(self._registry, image.spec.repository, image.spec.tags[0])
        return reasons_for(
            inputs.source, inputs.parents, inputs.internal, previous, opaque=image.recipe.opaque
        )

    def _build(self, name: str, inputs: Inputs, key: str) -> str:
        spec = self._graph.images[name].spec
        output = self._builder.build(
            self._request(name, inputs, key), lambda line: self._reporter.line(f"[{name}] {line}")
        )
        ref = ImageRef(self._registry.host, spec.repository, output.digest)
        self._finish(name, inputs, key, ref, output)
        return output.digest

    def _request(self, name: str, inputs: Inputs, key: str) -> BuildRequest:
        image = self._graph.images[name]
        spec = image.spec
        return BuildRequest(
            name=name,
            dockerfile=self._graph.root / spec.dockerfile,
            context=self._graph.root / spec.context,
            target=spec.target,
            args={**spec.args, SYNTAX_ARG: inputs.syntax} if inputs.syntax else spec.args,
            platforms=spec.platforms,
            parents=inputs.pins,
            annotations=self._annotations(inputs),
            secrets=self._settings.secrets,
            repository=f"{self._registry.host}/{spec.repository}",
            tag=unchecked_tag(key),
            fresh=name in self._force,
            timeout=self._settings.timeout,
        )

    def _annotations(self, inputs: Inputs) -> dict[str, str]:
        """Return what the image's manifest says: only what its content depends on anyway.

        Image specification 1.1, "Pre-Defined Annotation Keys".
        """
        found = {}
        if self._settings.source:
            found["org.opencontainers.image.source"] = self._settings.source
        digest = inputs.parents.get(inputs.runtime or "")
        if inputs.runtime and digest:
            found["org.opencontainers.image.base.name"] = self._base_name(inputs)
            found["org.opencontainers.image.base.digest"] = digest
        return found

    def _base_name(self, inputs: Inputs) -> str:
        """Return the full name of what the image stands on; ours are in this registry."""
        name = inputs.runtime or ""
        if name not in inputs.internal:
            return name
        repository = self._graph.images[inputs.internal[name]].spec.repository
        return f"{self._registry.host}/{repository}:{parse_reference(name).tag}"

    def _finish(
        self, name: str, inputs: Inputs, key: str, ref: ImageRef, output: BuildOutput
    ) -> None:
        """Read the image back, store its lineage, and only then tag it as finished."""
        self._require_unchanged(name, inputs)
        manifest = self._registry.manifest(ref.repository, ref.digest)
        lineage = Lineage(
            image=name,
            key_schema=KEY_SCHEMA,
            input_key=key,
            source=inputs.source.document(),
            parents={name: digest or "" for name, digest in inputs.parents.items()},
            revision=self._settings.revision,
        )
        write_lineage(self._registry, ref, lineage, provenance=output.provenance, now=self._now())
        self._registry.put_manifest(
            ref.repository, manifest.content, manifest.media_type, tag=in_tag(key)
        )
        tagged = self._registry.resolve(ref.repository, in_tag(key))
        if tagged != ref.digest:
            raise BuildError(
                f"{name}: the registry has {tagged} where {ref} was pushed: something else writes "
                "the same tags.",
                hint="nox -s build",
            )

    def _require_unchanged(self, name: str, inputs: Inputs) -> None:
        """Read the sources once more: the engine read them after the key was computed.

        :raises BuildError: they differ, so that nobody knows which of the two was built.
        """
        root = self._graph.root
        try:
            image = read_image(root, self._graph.images[name].spec, {})
            same = source_of(image, TreeHasher(root)).key == inputs.source.key
        except (ConfigError, OSError):
            same = False
        if not same:
            raise BuildError(
                f"The sources of {name} changed while it was built: what was pushed is not marked "
                "as finished.",
                hint="nox -s build, once more.",
            )


def _failure(outcome: Outcome[BuiltImage]) -> AksciError:
    """Make one error of all failures: its exit status that of the worst, its end their output."""
    errors = [outcome.failed[name] for name in sorted(outcome.failed)]
    others = [error for error in errors if not isinstance(error, BuildError)]
    if others and len(others) == len(errors):
        return others[0]
    failed = ", ".join(sorted(outcome.failed))
    lines = [f"{len(errors)} of the images did not build: {failed}."]
    if outcome.blocked:
        blocked = (
            f"{name} (needs {', '.join(sorted(blame))})"
            for name, blame in sorted(outcome.blocked.items())
        )
        lines.append(f"Not tried: {', '.join(blocked)}.")
    if outcome.done:
        lines.append(f"Done, and kept: {', '.join(sorted(outcome.done))}.")
    hint = next((error.hint for error in errors if error.hint), None)
    text = "\n\n".join(error.message for error in errors)
    return BuildError("\n".join(lines) + f"\n\n{text}", hint=hint)
