"""The step ``cascade``: what is based on images that moved is made again, released and tagged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aksci.cascade.cascade_release import Publishing
from aksci.cascade.cascade_report import outcomes_of
from aksci.cascade.cascade_run import CascadeRun, withheld
from aksci.images.build.build_record import Build, Failure, update_failures
from aksci.images.build.build_run import Run
from aksci.steps.build_step import require_gate_parts
from aksci.steps.cascade_parts import chooser_for, first_result, keep, open_scope
from aksci.steps.gate_step import gate as our_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aksci.cascade.cascade_report import Cascade
    from aksci.cascade.cascade_scope import CascadeScope
    from aksci.environment import Environment
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.build.build_run import ImageDone
    from aksci.images.schedule import QueueOutcome
    from aksci.supply.scan_and_sign import ScanAndSign

__all__ = ["cascade", "rebuild"]


def cascade(
    env: Environment,
    *,
    bases: Collection[str] = (),
    batch: bool = False,
    registry_wide: bool = False,
    gate: Callable[[str, BuiltImage], object] | None = None,
) -> Cascade:
    """Make again what is based on images from outside that moved, release it, and move its tags.

    Each image is built, validated, scanned and signed before anything is built on it. A failure
    stops only what depends on it; what passed is released: the last release, with these images in
    the place of its own.

    >>> def smoke(name: str, image: BuiltImage) -> None:
    ...     if not answers(image.ref):
    ...         raise GateError(f"{name} does not answer.")
    >>> done = cascade(env, gate=smoke)  # doctest: +SKIP
    >>> done = deploy_cascade(env, done)  # doctest: +SKIP
    >>> done.require()  # doctest: +SKIP

    :param bases: only what follows from these images counts: images of the project by name, or
        images from outside by tag; empty: all changes count.
    :param batch: take what the policy keeps for a batch.
    :param registry_wide: a base may be one that only other repositories' images are built on, as
        ``ask_owners`` finds them.
    :param gate: a check of your own. It is called with each image that was made, by name, once the
        scan gate has passed it, in several threads; an ``AksciError`` that it raises makes that
        image fail. It is then not signed, nothing is built on it, and what runs stays.
    :returns: with the first error, if something failed: see ``require``.
    :raises ConfigError: aksci.toml or a Dockerfile is wrong.
    :raises UsageError: nothing in the project is built on a base.
    """
    began = time.monotonic()
    scope = open_scope(env, bases, registry_wide=registry_wide)
    require_gate_parts(env)
    checks = our_gate(env, graph=scope.graph, check=gate)
    return keep(env, rebuild(env, scope, checks, batch=batch, began=began))


def rebuild(
    env: Environment,
    scope: CascadeScope,
    checks: ScanAndSign | None,
    *,
    batch: bool,
    began: float,
) -> Cascade:
    """Make again what must be, and publish what passed.

    :param checks: what each image must pass; None: nothing, so that no release can be made.
    :param began: when, by the monotonic clock.
    """
    run = _run(env, scope, checks, batch=batch)
    with env.reporter.group("cascade"):
        outcome = run.work()
    build = _build_of(env, run, outcome)
    _remember(env, scope, build, run, checks)
    # With `together`, one that failed holds back all that is built with it.
    together = env.config.cascade.together
    held = withheld(scope.graph.parents, build.missing) if together else frozenset[str]()
    made = first_result(
        env,
        scope,
        run.choices,
        planned=False,
        step="images",
        began=began,
        images=outcomes_of(scope.graph, run, outcome, held=held),
        error=build.error,
    )
    publishing = Publishing(
        build=build,
        graph=scope.graph,
        choices=run.choices,
        verdicts=checks.verdicts if checks else {},
        registry=env.registry,
        signer=lambda: env.signer,
        work=env.work_folder,
        reporter=env.reporter,
    )
    moving = {
        name: image
        for name, image in build.images.items()
        if image.action != "kept" and name not in held
    }
    return publishing.publish(made, moving)


def _run(
    env: Environment, scope: CascadeScope, checks: ScanAndSign | None, *, batch: bool
) -> CascadeRun:
    chooser = chooser_for(env, scope, batch=batch, trusted=env.trust.trusts_build)
    run = Run(
        lookup=chooser.lookup,
        builder=env.builder,
        settings=env.build_settings,
        reporter=env.reporter,
        now=env.now,
        validator=env.image_check,
    )
    return CascadeRun(run=run, chooser=chooser, gate=checks)


def _build_of(env: Environment, run: CascadeRun, outcome: QueueOutcome[ImageDone]) -> Build:
    """Return what became of each image as a build of all of them."""
    return Build(
        run_id=env.run_id,
        commit=env.commit,
        environment=env.name,
        images={name: one.image for name, one in sorted(outcome.done.items())},
        failed={name: error.message for name, error in outcome.failed.items()},
        blocked=outcome.blocked,
        errors=outcome.failed,
        keys=run.run.keys,
    )


def _remember(
    env: Environment,
    scope: CascadeScope,
    build: Build,
    run: CascadeRun,
    checks: ScanAndSign | None,
) -> None:
    """Write down what failed, and which builds and verdicts are trusted as our own."""
    from aksci.supply.scan.own_verdicts import write_verdict_record

    failed = {
        name: Failure(
            key=build.keys.get(name),
            error=error.message.splitlines()[0],
            run=env.run_id,
        )
        for name, error in build.errors.items()
    }
    update_failures(env.work_folder, failed, succeeded=build.images, known=scope.graph.images)
    # With what the gate refused: it need not be made once more to be asked about again.
    env.trust.remember({**run.made, **build.images}.values())
    if checks and checks.verdicts:
        write_verdict_record(env.work_folder, checks.verdicts.values())
