"""One run over a graph: look each image up by its input key, or build and check it."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aksci.config.models import CacheConfig
from aksci.core.errors import (
    AksciError,
    BuildError,
    ConfigError,
    Interrupted,
    NotFoundInRegistry,
)
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.build.build_record import Base, BuiltImage
from aksci.images.build.materials import require_known_bases, require_platform
from aksci.images.build.shared_builds import SharedBuilds
from aksci.images.context.hasher import TreeHasher, ignore_override
from aksci.images.engines.builder import BuildCache, BuildRequest, BuildSecret, BuildSsh
from aksci.images.graph import SYNTAX_ARG, read_image
from aksci.images.keys import in_tag, source_of, state_of, unchecked_tag
from aksci.images.lineage import write_lineage
from aksci.images.reason_wording import explain
from aksci.images.reasons import edges_of, files_of, lineage_of
from aksci.images.same_builds import same_reason
from aksci.oci.references import ImageRef, is_digest, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.core.reporting import Reporter, Task
    from aksci.images.bases import BaseResolver
    from aksci.images.build.finished import Finished
    from aksci.images.build.shared_builds import SharedBuild
    from aksci.images.engines.builder import Builder, BuildOutput
    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup
    from aksci.images.reasons import Reason
    from aksci.oci.manifest import Manifest

__all__ = ["BuildSettings", "ImageCheck", "ImageDone", "LateCheck", "Run"]

_LONGEST_TAG = 128  # distribution specification 1.1, "Pulling manifests"
_OUTPUT, _WARNING = "  ", "warning: "
"""How the lines of a ``Builder`` begin."""


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What is the same for all images of a run."""

    concurrency: int = 2
    """How many images build at once."""
    timeout: float = 3600
    """For one image, in seconds."""
    secrets: tuple[BuildSecret, ...] = ()
    ssh: tuple[BuildSsh, ...] = ()
    cache: CacheConfig = field(default_factory=CacheConfig)
    source: str = ""
    """Address of the source repository."""
    revision: str = ""
    """Commit of the source tree."""
    run_id: str = ""
    environment: str = ""
    """The environment's name."""
    known: Path | None = None
    """The file that keeps what earlier runs have read of the sources."""


class ImageCheck(Protocol):
    """Runs images. Its methods are called from several threads."""

    def check(self, name: str, ref: ImageRef) -> object:
        """Run an image, unless it is known to pass.

        :raises ValidationError: it does not run as it must.
        """

    def stop(self) -> None:
        """End what runs, now. Called more than once."""


class LateCheck:
    """Passes on to a validator that is made when the first image was built.

    :param validator: returns it, the same each time, and may be called from several threads.
    """

    def __init__(self, validator: Callable[[], ImageCheck | None]) -> None:
        self._validator = validator
        self._made: ImageCheck | None = None

    def check(self, name: str, ref: ImageRef) -> object:
        """Run an image, unless it is known to pass."""
        self._made = made = self._validator()
        return made.check(name, ref) if made else None

    def stop(self) -> None:
        """End what runs, now."""
        if self._made is not None:
            self._made.stop()


@dataclass(frozen=True, kw_only=True)
class ImageDone:
    """One image that is done."""

    image: BuiltImage
    identity: str
    """What it counts as in the keys of what needs it: see ``content_identity``."""


@dataclass(kw_only=True)
class Run:
    """One run over a graph. ``image`` is called from several threads."""

    lookup: Lookup
    builder: Builder
    settings: BuildSettings
    reporter: Reporter
    now: Callable[[], datetime]
    validator: ImageCheck | None = None
    gate: Callable[[str, BuiltImage], object] | None = None
    """Asked about each image before anything is built on it; what it raises fails the image."""
    keys: dict[str, str] = field(default_factory=dict)
    """Input keys by image, as they become known."""
    refused: dict[str, BuiltImage] = field(default_factory=dict)
    """Images that the gate has refused."""

    def __post_init__(self) -> None:
        self._requests = _Requests(lookup=self.lookup, settings=self.settings)
        self._building = threading.BoundedSemaphore(self.settings.concurrency)
        self._shared = SharedBuilds(self.lookup)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End all builds that are running, and begin no more."""
        self._stopped.set()
        self.builder.stop()
        if self.validator:
            self.validator.stop()

    def image(self, name: str, parents: Mapping[str, ImageDone]) -> ImageDone:
        """Look one image up, or build it, and take it through the gate."""
        done = self.make(name, parents)
        if self.gate is not None:
            try:
                self.gate(name, done.image)
            except AksciError:
                self.refused[name] = done.image
                raise
        return done

    def make(
        self,
        name: str,
        parents: Mapping[str, ImageDone],
        *,
        bases: BaseResolver | None = None,
        reasons: tuple[Reason, ...] = (),
    ) -> ImageDone:
        """Look one image up, or make it.

        :param bases: tells what it is based on, where that isn't what FROM means now.
        :param reasons: why it is made, where that is known.
        """
        started = time.monotonic()
        inputs = self.lookup.inputs(
            name,
            built={parent: one.image.ref.digest for parent, one in parents.items()},
            identities={parent: one.identity for parent, one in parents.items()},
            bases=bases,
        )
        key = inputs.key
        if key is None:  # pragma: no cover - all parents are in ``parents``
            raise BuildError(f"{name}: a parent has no digest.")
        # Before it is built: a failure is remembered by its key, too.
        self.keys[name] = key
        spec = self.lookup.graph.images[name].spec
        found = self.lookup.find(name, inputs)
        made: str | None = None
        if found is None:
            reasons = reasons or self.lookup.reasons(name, inputs)
            # A look-up needs no turn, a build does.
            with self._shared.turn(name, key), self._building:
                started = time.monotonic()  # waiting for it is not the image's time
                shared = self._shared.find(name, inputs, key)
                reasons = (same_reason(shared.image),) if shared else reasons
                found, made = self._as_task(name, inputs, key, reasons, shared)
        # What another run has finished meanwhile is not ours: built.json does not name it.
        ours = found.digest == made
        image = BuiltImage(
            name=name,
            ref=ImageRef(self.lookup.registry.host, spec.repository, found.digest),
            input_key=key,
            tags=spec.tags,
            action="built" if ours else "reused",
            reasons=reasons if ours else (),
            seconds=time.monotonic() - started,
            bases=self._requests.bases(name, inputs),
        )
        return ImageDone(image=image, identity=found.identity)

    def _as_task(
        self,
        name: str,
        inputs: Inputs,
        key: str,
        reasons: tuple[Reason, ...],
        shared: SharedBuild | None,
    ) -> tuple[Finished, str]:
        """Build an image and tell of it while it lasts.

        :param shared: the same build by another image's name, to be copied.
        :returns: what counts as finished, and the digest that was built here.
        """
        # It may have waited for its turn while the run was stopped.
        if self._stopped.is_set():
            raise Interrupted(f"{name} was not built: the run was stopped.")
        started = time.monotonic()
        task = self.reporter.task(name)
        end = "failed"
        try:
            verb = "to be copied" if shared else "to be built"
            task.step(f"{verb}: {'; '.join(map(explain, reasons))}")
            if shared:
                self._shared.copy(shared, name, self.reporter)
                output = shared.output
            else:
                output = self._build(name, inputs, key, task)
            repository = self.lookup.graph.images[name].spec.repository
            ref = ImageRef(self.lookup.registry.host, repository, output.digest)
            found = self._finish(name, inputs, key, ref, output, task)
            other = f", using {found.digest}" if found.digest != output.digest else ""
            end = f"{'copied' if shared else 'built'} {output.digest}{other}"
        except Interrupted:
            end = "stopped"
            raise
        finally:
            task.done(f"{end} ({time.monotonic() - started:.1f} s)")
        return found, output.digest

    def _build(self, name: str, inputs: Inputs, key: str, task: Task) -> BuildOutput:
        require_platform(name, inputs, self.lookup.bases)
        written = self._dockerfile_state(name)
        with self._shared.building(key):
            output = self.builder.build(
                self._requests.of(name, inputs, key), lambda line: _tell(task, line)
            )
        self._require_unchanged(name, inputs, written)
        if not is_digest(output.digest):  # whoever the builder is
            raise BuildError(
                f"{name}: its builder says that it pushed {output.digest!r}, no digest."
            )
        self._shared.add(name, key, output)
        return output

    def _finish(
        self, name: str, inputs: Inputs, key: str, ref: ImageRef, output: BuildOutput, task: Task
    ) -> Finished:
        """Read the image back, validate it, store its lineage, and only then tag it as finished."""
        registry = self.lookup.registry
        # In this order: whoever finds the tag may rely on all that comes before it, in every run.
        require_known_bases(name, inputs, output.provenance, allowed=self._helpers(name))
        try:
            manifest = registry.manifest(ref.repository, ref.digest)
        except NotFoundInRegistry:
            raise BuildError(
                f"{name}: its builder says that it pushed {ref}: it is not there."
            ) from None
        if self.validator:
            task.step("validate")
            self.validator.check(name, ref)
        if earlier := self.lookup.find(name, inputs):
            task.step("another run has finished it meanwhile")
            return earlier  # the first one counts: its dependents may be built already
        task.step("store what it was made of")
        settings = self.settings
        lineage = lineage_of(
            self.lookup.graph, name, inputs, revision=settings.revision, run=settings.run_id
        )
        write_lineage(
            registry,
            ref,
            lineage,
            provenance=output.provenance,
            now=self.now(),
            files=files_of(inputs.image, self.lookup.hasher),
            manifest=manifest,
        )
        return self._tag(name, key, ref, manifest)

    def _tag(self, name: str, key: str, ref: ImageRef, manifest: Manifest) -> Finished:
        """Mark an image as finished, and return what then counts as it."""
        self.lookup.registry.put_manifest(
            ref.repository, manifest.content, manifest.media_type, tag=in_tag(key)
        )
        # Another run may have set it at the same moment: what the registry says holds for both.
        tagged = self.lookup.finished(name, key)
        if tagged is None:
            raise BuildError(
                f"{name}: the registry took the tag {in_tag(key)} and does not have it: something "
                "else deletes tags.",
                hint="nox -s build",
            )
        if tagged.digest != ref.digest and not self.lookup.trusts(name, key, tagged):
            raise BuildError(
                f"{name}: somebody else has set the tag {in_tag(key)} to {tagged.digest}, which no "
                "trusted signature covers.",
                hint="find out who may push there; then nox -s build.",
            )
        return tagged

    def _helpers(self, name: str) -> frozenset[str]:
        """Return the images that work on an image, and are no part of it."""
        sbom = self.lookup.graph.images[name].spec.attestations.sbom
        return frozenset({parse_reference(sbom).name}) if sbom else frozenset()

    def _dockerfile_state(self, name: str) -> tuple[int, int]:
        """Return what changes when the Dockerfile is written, be it the same again."""
        with contextlib.suppress(OSError):
            state = (self.lookup.graph.root / self.lookup.graph.images[name].spec.dockerfile).stat()
            # Not the time of modification: any program may set that back.
            return state.st_ino, state.st_ctime_ns
        return 0, 0

    def _require_unchanged(self, name: str, inputs: Inputs, written: tuple[int, int]) -> None:
        """Read the sources once more: the engine read them after the key was computed.

        Files that were written count as changed even if they are again what they were: the engine
        may have read them in between (``git stash`` and ``git stash pop``).

        :param written: the state of the Dockerfile before.
        :raises BuildError: they differ, so that nobody knows which of the two was built.
        """
        root = self.lookup.graph.root
        try:
            image = read_image(root, inputs.image.spec, {}, triggers=inputs.image.triggers)
            # The run's own has its answers already, from before the build.
            fresh = TreeHasher(root, self.lookup.known)
            same = source_of(image, fresh).key == inputs.source.key
            same = same and state_of(image, fresh) == state_of(image, self.lookup.hasher)
            if image.dockerfile.text == inputs.image.dockerfile.text:  # else, a comment changed
                same = same and self._dockerfile_state(name) == written
        except (ConfigError, OSError):
            same = False
        if not same:
            raise BuildError(
                f"The sources of {name} changed while it was built: what was pushed is not marked "
                "as finished.",
                hint="nox -s build, once more.",
            )


def _tell(task: Task, line: str) -> None:
    """Pass a line of a builder on as what it is."""
    if line.startswith(_OUTPUT):
        task.line(line.removeprefix(_OUTPUT))
    elif line.startswith(_WARNING):
        task.warning(line.removeprefix(_WARNING))
    else:
        task.step(line)


@dataclass(frozen=True, kw_only=True)
class _Requests:
    """What a builder is asked for one image: its inputs, and what all images of a run share."""

    lookup: Lookup
    settings: BuildSettings

    def of(self, name: str, inputs: Inputs, key: str) -> BuildRequest:
        """Return what a builder is asked for."""
        spec = self.lookup.graph.images[name].spec
        args = dict(spec.args)
        if inputs.syntax:
            args[SYNTAX_ARG] = inputs.syntax
        return BuildRequest(
            name=name,
            dockerfile=self.lookup.graph.root / spec.dockerfile,
            context=self.lookup.graph.root / spec.context,
            target=spec.target,
            args=args,
            platforms=spec.platforms,
            parents=inputs.pins,
            contexts={
                name: self.lookup.graph.root / path for name, path in inputs.contexts.items()
            },
            annotations=self._annotations(inputs),
            secrets=self.settings.secrets,
            repository=f"{self.lookup.registry.host}/{spec.repository}",
            tag=unchecked_tag(key),
            fresh=self.lookup.forced(name),
            timeout=self.settings.timeout,
            ssh=self.settings.ssh,
            cache=self._cache(name),
            attestations=spec.attestations,
            ignore=ignore_override(self.lookup.graph.root, spec.context, spec.dockerfile),
        )

    def _cache(self, name: str) -> BuildCache | None:
        """Return where an image's layer cache is: beside it, in a tag of its own."""
        cache = self.settings.cache
        if cache.type == "none":
            return None
        # By the image's name: several may have one repository.
        tag = f"cache-{name.replace('/', '-')}"[:_LONGEST_TAG]
        return BuildCache(
            ref=f"{self.lookup.registry.host}/{self.lookup.graph.images[name].spec.repository}:{tag}",
            mode=cache.mode,
            read_only=cache.read_only,
        )

    def _annotations(self, inputs: Inputs) -> dict[str, str]:
        """Return what the image's manifest says: only what its content depends on anyway.

        Image specification 1.1, "Pre-Defined Annotation Keys".
        """
        found = {}
        if self.settings.source:
            found["org.opencontainers.image.source"] = self.settings.source
        digest = inputs.parents.get(inputs.runtime or "")
        if inputs.runtime and digest:
            found[BASE_NAME] = self._base_name(inputs)
            found[BASE_DIGEST] = _pinned(inputs, inputs.runtime) or digest
        return found

    def _base_name(self, inputs: Inputs) -> str:
        """Return the full name of the image's base; ours are in this registry."""
        name = inputs.runtime or ""
        if name not in inputs.internal:
            return name
        repository = self.lookup.graph.images[inputs.internal[name]].spec.repository
        return f"{self.lookup.registry.host}/{repository}:{parse_reference(name).tag}"

    def bases(self, name: str, inputs: Inputs) -> tuple[Base, ...]:
        """Return what an image is built from, each by the digest that its build is handed."""
        edges = edges_of(self.lookup.graph, name, inputs)
        return tuple(
            Base(
                reference=reference,
                digest=_pinned(inputs, reference) or str(digest),
                type=edges[reference]["type"],
                image=inputs.internal.get(reference, ""),
                runtime=reference == inputs.runtime,
            )
            for reference, digest in sorted(inputs.parents.items())
        )


def _pinned(inputs: Inputs, reference: str) -> str:
    """Return the digest that a reference is pinned by.

    A parent of ours may count as something else in keys: see ``content_identity``.
    """
    return inputs.pins.get(parse_reference(reference).familiar, "").partition("@")[2]
