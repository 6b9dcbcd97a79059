"""One run over a graph: look each image up by its input key, or build, check and finish it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from aksci.core.errors import AksciError, BuildError, Interrupted, ValidationError
from aksci.images.build.build_record import BuiltImage, failed_how
from aksci.images.build.build_requests import BuildRequests, BuildSettings
from aksci.images.build.finish_image import finish_image, read_back
from aksci.images.build.materials import require_platform
from aksci.images.build.same_sources import dockerfile_state, require_unchanged
from aksci.images.build.shared_builds import SharedBuilds
from aksci.images.reason_wording import explain
from aksci.images.same_builds import same_reason
from aksci.images.schedule import Unfinished, admitted
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.core.reporting import Reporter, Task
    from aksci.images.bases import BaseResolver
    from aksci.images.build.finish_image import PushedImage
    from aksci.images.build.shared_builds import SharedBuild
    from aksci.images.engines.builder import Builder, BuildOutput
    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup
    from aksci.images.reasons import Reason
    from aksci.images.schedule import QueueOutcome

__all__ = ["ImageCheck", "ImageDone", "LateCheck", "Run"]

_LOOKUPS = 16
"""Threads: most images are only looked up. What builds at once is limited by ``concurrency``."""
_OUTPUT, _WARNING = "  ", "warning: "
"""How the lines of a ``Builder`` begin."""


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
    """One image that is done, or built at least."""

    image: BuiltImage
    identity: str
    """What it counts as in the keys of what needs it: see ``content_identity``."""


@dataclass(kw_only=True)
class _Told:
    """What is told of an image that is being made, until it is validated."""

    task: Task
    verb: str
    """Whether it is built or copied."""
    began: float


@dataclass(kw_only=True)
class Run:
    """One run over a graph. Its methods are called from several threads."""

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
        self._requests = BuildRequests(lookup=self.lookup, settings=self.settings)
        self._building = threading.BoundedSemaphore(self.settings.concurrency)
        self._shared = SharedBuilds(self.lookup)
        self._stopped = threading.Event()
        self._telling = threading.Lock()
        self._told: dict[str, _Told] = {}
        self._built: set[str] = set()
        self._blocked: dict[str, str] = {}

    def over(
        self,
        work: Callable[[str, Mapping[str, ImageDone]], ImageDone | Unfinished[ImageDone]],
        *,
        selected: frozenset[str] | None,
    ) -> QueueOutcome[ImageDone]:
        """Do the work of each image, parents before children, as ``Lookup.run`` does."""
        try:
            return self.lookup.run(
                work,
                selected=selected,
                workers=max(_LOOKUPS, self.settings.concurrency),
                stop=self.stop,
                # What runs them has a limit of its own. Some need no turn of it; and of those that
                # wait for one there, none can be called back once its base has failed.
                checks=max(4, 2 * self.settings.concurrency),
                same=lambda one, other: one.identity == other.identity,
                block=self._block,
            )
        finally:
            for name in list(self._told):
                self._end(name, "stopped")

    def stop(self) -> None:
        """End all builds that are running, and begin no more."""
        self._stopped.set()
        self.builder.stop()
        if self.validator:
            self.validator.stop()

    def image(
        self, name: str, parents: Mapping[str, ImageDone]
    ) -> ImageDone | Unfinished[ImageDone]:
        """Look one image up, or build it; the gate is asked once it counts."""
        made = self.make(name, parents)
        # A base that the gate may refuse must not run code of its own in another image's build.
        return made if self.gate is None else admitted(made, partial(self._admit, self.gate))

    def make(
        self,
        name: str,
        parents: Mapping[str, ImageDone],
        *,
        bases: BaseResolver | None = None,
        reasons: tuple[Reason, ...] = (),
    ) -> ImageDone | Unfinished[ImageDone]:
        """Look one image up, or build it: then it is to be validated and finished.

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
        found = self.lookup.find(name, inputs)
        if found is not None:
            return self._done(name, inputs, key, found.digest, found.identity, started)
        reasons = reasons or self.lookup.reasons(name, inputs)
        # A look-up needs no turn, a build does.
        with self._shared.turn(name, key), self._building:
            started = time.monotonic()  # waiting for it is not the image's time
            shared = self._shared.find(name, inputs, key)
            reasons = (same_reason(shared.image),) if shared else reasons
            pushed = self._build(name, inputs, key, reasons, shared)
        done = self._done(
            name, inputs, key, pushed.ref.digest, pushed.identity, started, reasons=reasons
        )
        seconds = [done.image.seconds]
        return Unfinished(
            result=done,
            check=partial(self._validate, pushed, seconds) if self.validator else None,
            finish=partial(self._finish, pushed, done, seconds),
        )

    def _build(
        self,
        name: str,
        inputs: Inputs,
        key: str,
        reasons: tuple[Reason, ...],
        shared: SharedBuild | None,
    ) -> PushedImage:
        """Build or copy an image, read it back, and tell of it while it lasts.

        :param shared: the same build by another image's name, to be copied.
        """
        # It may have waited for its turn while the run was stopped, or its base has failed.
        if self._stopped.is_set():
            raise Interrupted(f"{name} was not built: the run was stopped.")
        if name in self._blocked:
            raise BuildError(f"{name} was not built: {self._blocked[name]}.")
        task = self.reporter.task(name)
        verb = "copied" if shared else "built"
        self._told[name] = _Told(task=task, verb=verb, began=time.monotonic())
        try:
            task.step(f"to be {verb}: {'; '.join(map(explain, reasons))}")
            if shared:
                self._shared.copy(shared, name, self.reporter)
                pushed = read_back(self.lookup, name, inputs, key, shared.output)
            else:
                output = self._ask_builder(name, inputs, key, task)
                pushed = read_back(self.lookup, name, inputs, key, output)
                self._shared.add(name, key, output)
        except BaseException as error:
            self._end(name, _how(error))
            raise
        if self.validator is None or name in self._blocked:
            self._end(name, f"{verb} {pushed.ref.digest}", built=True)
        return pushed

    def _ask_builder(self, name: str, inputs: Inputs, key: str, task: Task) -> BuildOutput:
        """Have an image built from the sources of its key, for the platforms that it is for."""
        require_platform(name, inputs, self.lookup.bases)
        written = dockerfile_state(self.lookup, name)
        with self._shared.building(key):
            output = self.builder.build(
                self._requests.of(name, inputs, key), lambda line: _tell(task, line)
            )
        require_unchanged(self.lookup, name, inputs, written)
        return output

    def _validate(self, pushed: PushedImage, seconds: list[float]) -> None:
        """Run an image that was pushed, whatever becomes of its parents.

        :param seconds: that it has taken; these are added.
        """
        name, started = pushed.name, time.monotonic()
        if self.validator is None:  # pragma: no cover - then nobody calls
            return
        if name in self._blocked:
            self._end(name, "")
            return
        self._told[name].task.step("validate")
        try:
            self.validator.check(name, pushed.ref)
        except BaseException as error:
            self._end(name, _how(error))
            raise
        self._end(name, f"{self._told[name].verb} {pushed.ref.digest}", built=True)
        seconds.append(time.monotonic() - started)

    def _finish(self, pushed: PushedImage, done: ImageDone, seconds: list[float]) -> ImageDone:
        """Mark an image as finished that has passed, as have all that it is based on."""
        started, settings = time.monotonic(), self.settings
        found = finish_image(
            self.lookup,
            pushed,
            revision=settings.revision,
            run=settings.run_id,
            now=self.now(),
        )
        spent = sum(seconds) + time.monotonic() - started
        if found.digest == pushed.ref.digest:
            return replace(done, image=replace(done.image, seconds=spent))
        self.reporter.line(f"[{pushed.name}] another run has finished {found.digest}, which counts")
        # It is not ours: built.json must not name it.
        ref = ImageRef(pushed.ref.registry, pushed.ref.repository, found.digest)
        image = replace(done.image, ref=ref, action="reused", reasons=(), seconds=spent)
        return ImageDone(image=image, identity=found.identity)

    def _done(
        self,
        name: str,
        inputs: Inputs,
        key: str,
        digest: str,
        identity: str,
        started: float,
        *,
        reasons: tuple[Reason, ...] | None = None,
    ) -> ImageDone:
        """Return an image as what it counts as.

        :param reasons: why it was built here; None: it was found.
        """
        spec = self.lookup.graph.images[name].spec
        image = BuiltImage(
            name=name,
            ref=ImageRef(self.lookup.registry.host, spec.repository, digest),
            input_key=key,
            tags=spec.tags,
            action="reused" if reasons is None else "built",
            reasons=reasons or (),
            seconds=time.monotonic() - started,
            bases=self._requests.bases(name, inputs),
        )
        return ImageDone(image=image, identity=identity)

    def _admit(self, gate: Callable[[str, BuiltImage], object], done: ImageDone) -> None:
        try:
            gate(done.image.name, done.image)
        except AksciError:
            self.refused[done.image.name] = done.image
            raise

    def _block(self, name: str, culprit: str, error: AksciError) -> None:
        """Note that an image can't count any more: it is not begun, and its task ends so."""
        with self._telling:
            self._blocked[name] = f"{culprit} {failed_how(error)}"
            if name in self._built:
                self.reporter.line(f"[{name}] blocked: {self._blocked[name]}")

    def _end(self, name: str, text: str, *, built: bool = False) -> None:
        """Tell how an image ended."""
        told = self._told.pop(name)
        with self._telling:
            if name in self._blocked:
                text = f"blocked: {self._blocked[name]}"
            elif built:
                self._built.add(name)
            told.task.done(f"{text} ({time.monotonic() - told.began:.1f} s)")


def _how(error: BaseException) -> str:
    """Say how an image's task ended."""
    if isinstance(error, ValidationError):
        return failed_how(error)
    return "stopped" if isinstance(error, Interrupted) else "failed"


def _tell(task: Task, line: str) -> None:
    """Pass a line of a builder on as what it is."""
    if line.startswith(_OUTPUT):
        task.line(line.removeprefix(_OUTPUT))
    elif line.startswith(_WARNING):
        task.warning(line.removeprefix(_WARNING))
    else:
        task.step(line)
