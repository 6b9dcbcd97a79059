"""Run freshly built images before they count as finished, and remember what passed."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.config.models import ValidateConfig
from aksci.core.errors import AksciError, Interrupted, ValidationError
from aksci.images.schedule import run_ready
from aksci.images.validate.checks import plan_check, spec_hash
from aksci.images.validate.image_facts import configurations
from aksci.images.validate.image_runner import CheckTask, choose_platform
from aksci.images.validate.result import Validation, judge, shown_log, store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.core.reporting import Reporter
    from aksci.images.validate.checks import Check
    from aksci.images.validate.image_runner import ImageRunner
    from aksci.images.validate.own_validations import OwnValidations
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["Validator"]


class Validator:
    """Checks images, several at once, each digest once. Safe in several threads.

    :param make_engine: called once, when the first image really must be run.
    :param configs: image -> its table; those without one get the default.
    :param own: the passes that runs of ours have seen; what is seen now is added.
    :param signed: tells whether a trusted signature says that a digest passed the check of a
        ``spec_hash``. Without this, none does.
    :param concurrency: how many containers run at once.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        make_engine: Callable[[], ImageRunner],
        configs: Mapping[str, ValidateConfig],
        own: OwnValidations,
        signed: Callable[[ImageRef, str], bool] | None = None,
        reporter: Reporter,
        now: Callable[[], datetime],
        run: str,
        concurrency: int = 2,
    ) -> None:
        self._registry = registry
        self._make_engine = make_engine
        self._configs = configs
        self._own = own
        self._signed = signed
        self._reporter = reporter
        self._now = now
        self._run = run
        self._concurrency = concurrency
        self._running = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._made: ImageRunner | AksciError | None = None
        self._halt = threading.Event()

    def check(self, name: str, ref: ImageRef) -> Validation:
        """Return the result of an image that was just made: seen before by a run of ours, or new.

        Call it in a worker thread: Ctrl-C then reaches only the main one, which calls ``stop``.

        :raises ValidationError: it does not run as it must; the message ends with its log.
        """
        return self._check(name, ref, None)  # it would take a program to learn that nobody signed

    def _check(
        self, name: str, ref: ImageRef, signed: Callable[[ImageRef, str], bool] | None
    ) -> Validation:
        config = self._configs.get(name, ValidateConfig())
        if config.skip:
            return Validation(image=name, ref=ref, passed=True, finding="not asked for (skip)")
        spec = spec_hash(config)
        known = self._own.find(name, ref, spec)
        if known:
            return known
        if signed and signed(ref, spec):
            return self._remembered(name, ref, spec)
        result = self._examine(name, ref, config, spec)
        self._tell(result)
        if not result.passed:
            raise _failure(result)
        return result

    def check_all(self, images: Mapping[str, ImageRef]) -> dict[str, Validation]:
        """Return the results of several images by name: remembered, signed or new.

        :raises ValidationError: some don't run as they must; all of them are named.
        """
        outcome = run_ready(
            dict.fromkeys(images, frozenset[str]()),
            lambda name, _parents: self._check(name, images[name], self._signed),
            workers=max(8, self._concurrency),  # most are only looked up
            stop=self.stop,
        )
        errors = [outcome.failed[name] for name in sorted(outcome.failed)]
        others = [error for error in errors if not isinstance(error, ValidationError)]
        if others:
            raise others[0]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            names = ", ".join(sorted(outcome.failed))
            text = "\n\n".join(error.message for error in errors)
            raise ValidationError(
                f"{len(errors)} images don't run as they must: {names}.\n\n{text}"
            )
        return dict(sorted(outcome.done.items()))

    def stop(self) -> None:
        """End what runs, at once; its containers are removed. Called more than once."""
        self._halt.set()

    def close(self) -> None:
        """Give the engine back, if there is one."""
        with self._lock:
            if self._made is not None and not isinstance(self._made, AksciError):
                self._made.close()
            self._made = None

    def _examine(self, name: str, ref: ImageRef, config: ValidateConfig, spec: str) -> Validation:
        images = configurations(self._registry, name, ref)
        checks = {platform: plan_check(name, config, image) for platform, image in images.items()}
        if all(check.kind == "nothing" for check in checks.values()):
            check = next(iter(checks.values()))
            finding = "it has neither ENTRYPOINT nor CMD: nothing to run"
            result = Validation(
                image=name, ref=ref, passed=True, finding=finding, spec=spec, check=check
            )
            return self._stored(result)
        with self._running:
            if self._halt.is_set():
                raise Interrupted(f"Stopped before {name} was validated.")
            engine = self._engine()
            native = engine.platforms()
            platform = choose_platform(tuple(checks), native)
            if platform is None:
                return _elsewhere(name, ref, spec, tuple(checks), native)
            check = checks[platform] if platform else next(iter(checks.values()))
            return self._run_one(engine, name, ref, spec, platform, check)

    def _run_one(
        self, engine: ImageRunner, name: str, ref: ImageRef, spec: str, platform: str, check: Check
    ) -> Validation:
        task = CheckTask(image=name, ref=ref, platform=platform, check=check, run=self._run)
        outcome = engine.run(task, self._halt)
        passed, finding = judge(check, outcome)
        # It ended by itself: most services do, where their database is missing.
        weak = check.kind == "start" and outcome.exit_code is not None
        return self._stored(
            Validation(
                image=name,
                ref=ref,
                passed=passed,
                finding=finding,
                advice=_advice(name) if passed and weak and outcome.exit_code else "",
                spec=spec,
                check=check,
                outcome=outcome,
                platform=platform,
            )
        )

    def _stored(self, result: Validation) -> Validation:
        stored = store(self._registry, result, run=self._run, now=self._now())
        result = replace(result, stored=stored)
        # A failure is not remembered: it is asked again each time.
        if result.passed:
            self._own.add(result)
        return result

    def _remembered(self, name: str, ref: ImageRef, spec: str) -> Validation:
        """Keep what a signature says, so that the next signature can say it too."""
        finding = "it passed before, as a trusted signature says"
        result = Validation(
            image=name, ref=ref, passed=True, finding=finding, spec=spec, remembered=True
        )
        self._own.add(result)
        return result

    def _engine(self) -> ImageRunner:
        """Make the engine once; one that can't be made is not tried again for each image."""
        with self._lock:
            if self._made is None:
                try:
                    self._made = self._make_engine()
                except AksciError as error:
                    self._made = error
            if isinstance(self._made, AksciError):
                raise self._made
            return self._made

    def _tell(self, result: Validation) -> None:
        if not result.stored:
            self._reporter.warning(f"{result.image}: {result.finding}.")
        elif result.passed:
            advice = f"; {result.advice}" if result.advice else ""
            self._reporter.line(f"[{result.image}] validated: {result.finding}{advice}")


def _elsewhere(
    name: str, ref: ImageRef, spec: str, offered: tuple[str, ...], native: tuple[str, ...]
) -> Validation:
    """Return a pass that is not stored: a machine that can run the image shall still do so."""
    finding = (
        f"not validated: it is for {', '.join(offered)}, and what would run it is "
        f"{', '.join(native)}"
    )
    return Validation(image=name, ref=ref, passed=True, finding=finding, spec=spec)


def _advice(name: str) -> str:
    return f"to check more, set 'command' or 'health' in [images.{_key(name)}.validate]"


def _key(name: str) -> str:
    """Return a name as a key of TOML 1.0, quoted where it is not a bare one."""
    return name if name.replace("-", "").replace("_", "").isalnum() else f'"{name}"'


def _failure(result: Validation) -> ValidationError:
    outcome = result.outcome
    where = f" ({outcome.engine}, {result.platform})" if outcome else ""
    message = f"{result.image} does not run as it must: {result.finding}{where}."
    if outcome:
        message += shown_log(outcome)
    return ValidationError(
        message,
        hint=f"what is checked is told by [images.{_key(result.image)}.validate] in aksci.toml: "
        "'command', 'health', 'env', 'timeout' or 'skip'.",
    )
