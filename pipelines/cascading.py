"""A cascade over this project's own images: what moved, what is made again, what follows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aksci.cascade.cascade_plan import Chooser, plan_cascade
from aksci.cascade.cascade_report import outcomes_of, planned_outcomes
from aksci.cascade.cascade_run import CascadeRun, withheld
from aksci.cascade.drift import PolicyDigests
from aksci.core.errors import AksciError
from aksci.images.build.build_images import BuildResult
from aksci.images.build.build_record import Failure, read_failures, update_failures
from aksci.images.build.build_run import Run
from aksci.images.lookup import Lookup
from pipelines.gatekeeper import Gatekeeper
from pipelines.plan import base_resolver
from pipelines.platform import locate, prepare
from pipelines.supplies import reach_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.cascade.cascade_report import (
        Dependent,
        EnvironmentOutcome,
        FindingMove,
        ImageOutcome,
        TagMove,
    )
    from aksci.cascade.drift import EdgeDrift
    from aksci.context import Context
    from aksci.images.bases import BaseResolver, RegistryBases
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.graph import Graph
    from aksci.oci.client import RegistryClient
    from aksci.oci.references import ImageRef
    from aksci.supply.sign.signer import Origin
    from pipelines.bench import Bench

__all__ = ["Cascading", "Done"]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a cascade has found and done so far."""

    drift: tuple[EdgeDrift, ...] = ()
    images: tuple[ImageOutcome, ...] = ()
    findings: tuple[FindingMove, ...] = ()
    tags: tuple[TagMove, ...] = ()
    release_before: ImageRef | None = None
    release_after: ImageRef | None = None
    environments: tuple[EnvironmentOutcome, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    error: AksciError | None = None
    """What is raised at the end, when all else is done."""


@dataclass(kw_only=True)
class Cascading:
    """One cascade. Each collaborator is made when it is first needed."""

    bench: Bench
    graph: Graph
    only: frozenset[str] | None
    batch: bool
    planning: bool
    """Nothing is started and nothing is written."""
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        """The session's."""
        return self.bench.context

    @cached_property
    def registry(self) -> RegistryClient:
        """The environment's; for a plan, it must be there."""
        if self.planning:
            return reach_registry(self.context, locate(self.context))
        return self.bench.registry

    @cached_property
    def resolver(self) -> RegistryBases:
        """What asks registries for external images."""
        if self.planning:
            return base_resolver(self.context, self.registry, brief=True)
        return self.bench.resolver

    @cached_property
    def lookup(self) -> Lookup:
        """One look at the graph and the registry."""
        bases: BaseResolver = self.resolver if self.planning else self.bench.bases
        return Lookup(
            graph=self.graph,
            registry=self.registry,
            bases=bases,
            failures=read_failures(self.context.work),
            trusted=None if self.planning else self.bench.vouches,
        )

    @cached_property
    def policy_digests(self) -> PolicyDigests:
        """What references mean now."""
        return PolicyDigests(self.resolver)

    @cached_property
    def chooser(self) -> Chooser:
        """What decides on each image."""
        return Chooser(
            lookup=self.lookup,
            config=self.context.config.cascade,
            policy_digests=self.policy_digests,
            only=self.only,
            batch=self.batch,
            failures=self.lookup.failures,
            trusted=self.lookup.trusted,
        )

    @cached_property
    def gatekeeper(self) -> Gatekeeper:
        """What scans and signs."""
        images = self.graph.images
        return Gatekeeper(
            bench=self.bench,
            origin=self.origin(),
            repository_of=lambda name: images[name].spec.repository,
        )

    def origin(self) -> Origin:
        """Return what signatures tell of where something comes from."""
        from aksci.supply.sign.signer import Origin

        return Origin(commit=self.bench.commit, run=self.context.run_id)

    def plan(self) -> Done:
        """Look at everything, change nothing."""
        with self.timed("look"):
            outcome = plan_cascade(self.lookup, self.chooser)
        choices = {name: one.choice for name, one in outcome.done.items()}
        return Done(
            drift=tuple(edge for name in sorted(choices) for edge in choices[name].edges),
            images=planned_outcomes(self.graph, outcome),
            steps=self.steps,
            error=next((outcome.failed[name] for name in sorted(outcome.failed)), None),
        )

    def apply(self) -> Done:
        """Make again what must be, and publish what passed."""
        run = self._run()
        with self.timed("images"), self.context.reporter.group("cascade"):
            outcome = run.work()
        images = {name: one.image for name, one in sorted(outcome.done.items())}
        result = BuildResult(
            images=images, failed=outcome.failed, blocked=outcome.blocked, keys=run.run.keys
        )
        self._remember(result, run.made)
        wanting = {*outcome.failed, *outcome.blocked}
        together = self.context.config.cascade.together
        held = withheld(self.graph.parents, wanting) if together else frozenset()
        moving = {
            name: image
            for name, image in images.items()
            if image.action != "kept" and name not in held
        }
        done = Done(
            drift=tuple(e for name in sorted(run.choices) for e in run.choices[name].edges),
            images=outcomes_of(self.graph, run, outcome, held=held),
            steps=self.steps,
            error=result.error,
        )
        try:
            return self._publish(done, run, moving)
        except AksciError as error:  # what was made is told all the same
            return replace(done, error=done.error or error)

    def deploy(self, done: Done) -> Done:
        """Bring the release to the environments that opted in, or find that it is there.

        That is the last release, even if this cascade had nothing to do: an earlier one may have
        died before its end, or a gate may let it pass now.
        """
        context = self.context
        here = {context.environment_name: context.environment}
        if not any(one.cascade for one in {**here, **context.config.environments}.values()):
            return done
        from aksci.supply.release.find_release import last_release
        from pipelines.continuing import deploy_continued

        # What somebody has released meanwhile is the last one, and not to be undone by ours.
        release = last_release(self.registry, context.config.project.name)
        if release is None:
            return done
        if context.environment.cascade and self.bench.found.embedded and not self.planning:
            prepare(context, self.bench.toolbox, cluster=True)
        with self.timed("deploy"), context.reporter.group("deploy"):
            environments, error = deploy_continued(
                context,
                release,
                plan_only=self.planning,
                to_come=self.planning and any(one.action != "kept" for one in done.images),
            )
        return replace(done, environments=environments, error=done.error or error)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note the seconds of one step."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps[step] = self.steps.get(step, 0.0) + time.monotonic() - started

    def _run(self) -> CascadeRun:
        bench = self.bench
        return CascadeRun(
            run=Run(
                lookup=self.lookup,
                builder=bench.builder,
                settings=bench.settings,
                reporter=self.context.reporter,
                now=self.context.now,
                validator=bench.check,
            ),
            chooser=self.chooser,
            gate=self.gatekeeper,
        )

    def _remember(self, result: BuildResult, made: Mapping[str, BuiltImage]) -> None:
        """Write down what failed, and which builds are trusted as our own.

        :param made: with those that the gate refused: they need not be made once more to be asked
            about again.
        """
        from aksci.supply.scan.own_verdicts import write_verdict_record

        work = self.context.work
        failed = {
            name: Failure(
                key=result.keys.get(name),
                error=error.message.splitlines()[0],
                run=self.context.run_id,
            )
            for name, error in result.failed.items()
        }
        update_failures(work, failed, succeeded=result.images, known=self.graph.images)
        self.bench.remember_own({**made, **result.images}.values())
        if self.gatekeeper.verdicts:
            write_verdict_record(work, self.gatekeeper.verdicts.values())

    def _publish(self, done: Done, run: CascadeRun, moving: Mapping[str, BuiltImage]) -> Done:
        """Make the release, then move the tags: what dies in between is done again by the next."""
        from aksci.supply.release.find_release import last_release
        from aksci.supply.release.make_release import load_release
        from pipelines.publishing import Publishing

        if not moving:
            self.context.reporter.line("nothing was made again: no tag moves")
            return done
        publishing = Publishing(bench=self.bench, run=run, verdicts=self.gatekeeper.verdicts)
        last = last_release(self.registry, self.context.config.project.name)
        before = load_release(self.registry, last) if last else None
        if before is None:
            self.context.reporter.line("no release: there is none yet to go on from")
        with self.timed("release"):
            after = publishing.go_on(before, moving) if before else None
        with self.timed("tags"):
            moved = publishing.move_tags(moving)
        return replace(
            done,
            findings=publishing.findings(before) if before else (),
            tags=moved,
            release_before=before.ref if before else None,
            release_after=after.ref if after else None,
        )
