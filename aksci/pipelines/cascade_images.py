"""A cascade over this project's own images: what moved, what is made again, what follows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from aksci.cascade.cascade_plan import Chooser, plan_cascade
from aksci.cascade.cascade_report import outcomes_of, planned_outcomes
from aksci.cascade.cascade_run import CascadeRun, withheld
from aksci.cascade.drift import PolicyDigests
from aksci.core.errors import AksciError
from aksci.images.build.build_record import Build, Failure, read_failures, update_failures
from aksci.images.build.build_run import Run
from aksci.images.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.cascade.cascade_report import (
        Dependent,
        EnvironmentOutcome,
        FindingMove,
        ImageOutcome,
        TagMove,
    )
    from aksci.cascade.drift import EdgeDrift
    from aksci.environment import Environment
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.scan_images import ImageScans
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.scan_and_sign import ScanAndSign
    from aksci.supply.sign.signer import Origin

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

    env: Environment
    """For a plan, one that is only looked at."""
    graph: Graph
    only: frozenset[str] | None
    batch: bool
    planning: bool
    """Nothing is started and nothing is written."""
    steps: dict[str, float] = field(default_factory=dict)

    @cached_property
    def lookup(self) -> Lookup:
        """One look at the graph and the registry."""
        return Lookup(
            graph=self.graph,
            registry=self.env.registry,
            bases=self.env.bases,
            failures=read_failures(self.env.work),
            # A plan needs no keys: what nobody signed is told as kept, and is built again then.
            trusted=None if self.planning else self.env.trust.trusts_build,
        )

    @cached_property
    def policy_digests(self) -> PolicyDigests:
        """What references mean now."""
        return PolicyDigests(self.env.resolver)

    @cached_property
    def chooser(self) -> Chooser:
        """What decides on each image."""
        return Chooser(
            lookup=self.lookup,
            config=self.env.config.cascade,
            policy_digests=self.policy_digests,
            only=self.only,
            batch=self.batch,
            failures=self.lookup.failures,
            trusted=self.lookup.trusted,
        )

    @cached_property
    def gate(self) -> ScanAndSign:
        """What scans and signs."""
        from aksci.supply.scan_and_sign import ScanAndSign

        env = self.env
        return ScanAndSign(
            make_gate=self._make_gate,
            signer=lambda: env.signer,
            trust=env.trust,
            policy=env.config.scan,
            now=env.now,
            origin=self.origin(),
            base_of=partial(
                env.resolver.base_of,
                host=env.registry.host,
                own={name: one.spec.repository for name, one in self.graph.images.items()},
            ),
        )

    def _make_gate(self, trusted: Callable[[Verdict], bool]) -> ImageScans:
        from aksci.supply.scan.scan_images import ImageScans

        env = self.env
        return ImageScans.make(
            env.scanner,
            env.config.scan,
            env.registry,
            env.reporter,
            env.now(),
            env.root,
            env.resolver.client,
            trusted,
        )

    def origin(self) -> Origin:
        """Return what signatures tell of where something comes from."""
        from aksci.supply.sign.signer import Origin

        return Origin(commit=self.env.commit, run=self.env.run_id)

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
        with self.timed("images"), self.env.reporter.group("cascade"):
            outcome = run.work()
        images = {name: one.image for name, one in sorted(outcome.done.items())}
        result = Build(
            run_id=self.env.run_id,
            commit=self.env.commit,
            environment=self.env.name,
            images=images,
            failed={name: error.message for name, error in outcome.failed.items()},
            blocked=outcome.blocked,
            errors=outcome.failed,
            keys=run.run.keys,
        )
        self._remember(result, run.made)
        # With `together`, one that failed holds back all that is built with it.
        wanting = {*outcome.failed, *outcome.blocked}
        together = self.env.config.cascade.together
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
        env = self.env
        here = {env.name: env.settings}
        if not any(one.cascade for one in {**here, **env.config.environments}.values()):
            return done
        from aksci.pipelines.cascade_environments import deploy_continued
        from aksci.supply.release.find_release import latest_release

        # What somebody has released meanwhile is the last one, and not to be undone by ours.
        release = latest_release(self.env.registry, env.config.project.name)
        if release is None:
            return done
        if env.settings.cascade and env.endpoints.embedded and not self.planning:
            env.prepare(cluster=True)
        with self.timed("deploy"), env.reporter.group("deploy"):
            environments, error = deploy_continued(
                env,
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
        env = self.env
        return CascadeRun(
            run=Run(
                lookup=self.lookup,
                builder=env.builder,
                settings=env.build_settings,
                reporter=env.reporter,
                now=env.now,
                validator=env.image_check,
            ),
            chooser=self.chooser,
            gate=self.gate,
        )

    def _remember(self, result: Build, made: Mapping[str, BuiltImage]) -> None:
        """Write down what failed, and which builds are trusted as our own.

        :param made: with those that the gate refused: they need not be made once more to be asked
            about again.
        """
        from aksci.supply.scan.own_verdicts import write_verdict_record

        work = self.env.work
        failed = {
            name: Failure(
                key=result.keys.get(name),
                error=error.message.splitlines()[0],
                run=self.env.run_id,
            )
            for name, error in result.errors.items()
        }
        update_failures(work, failed, succeeded=result.images, known=self.graph.images)
        self.env.trust.remember({**made, **result.images}.values())
        if self.gate.verdicts:
            write_verdict_record(work, self.gate.verdicts.values())

    def _publish(self, done: Done, run: CascadeRun, moving: Mapping[str, BuiltImage]) -> Done:
        """Make the release, then move the tags: what dies in between is done again by the next."""
        from aksci.pipelines.cascade_release import Publishing
        from aksci.supply.release.find_release import latest_release
        from aksci.supply.release.make_release import load_release

        if not moving:
            self.env.reporter.line("nothing was made again: no tag moves")
            return done
        publishing = Publishing(env=self.env, run=run, verdicts=self.gate.verdicts)
        last = latest_release(self.env.registry, self.env.config.project.name)
        before = load_release(self.env.registry, last) if last else None
        if before is None:
            self.env.reporter.line("no release: there is none yet to go on from")
        with self.timed("release"):
            after = publishing.go_on(before, moving) if before else None
        # Tags come last: while they stay, the next cascade sees the same drift, and goes on.
        with self.timed("tags"):
            moved = publishing.move_tags(moving)
        return replace(
            done,
            findings=publishing.findings(before) if before else (),
            tags=moved,
            release_before=before.ref if before else None,
            release_after=after.ref if after else None,
        )
