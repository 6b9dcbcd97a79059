"""A cascade as a value: what moved, what was made again and why, what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aksci.cascade.cascade_plan import Planned
    from aksci.cascade.cascade_run import CascadeRun
    from aksci.cascade.cascade_scope import CascadeScope
    from aksci.cascade.drift import EdgeDrift
    from aksci.core.errors import AksciError
    from aksci.images.build.build_run import ImageDone
    from aksci.images.build.stable_tags import MovedTag
    from aksci.images.graph import Graph
    from aksci.images.schedule import QueueOutcome

__all__ = [
    "Cascade",
    "Dependent",
    "DependentAction",
    "EnvironmentOutcome",
    "FindingMove",
    "ImageOutcome",
    "Spent",
    "gone_on",
    "outcomes_of",
    "planned_outcomes",
    "scope_of",
    "within",
]

Action = Literal["rebuild", "rebuilt", "reused", "kept", "failed", "blocked"]
"""``rebuild`` is what a plan says; the others are what a cascade did. ``reused``: its inputs are
new, and a finished build of them was there already. ``kept``: nothing that it is based on moved."""

Became = Literal["deployed", "would deploy", "unchanged", "waits", "left", "failed"]
"""``would deploy``: what a plan says. ``unchanged``: it runs the release already. ``waits``: a gate
says not yet. ``left``: what runs there is not what the cascade went on from."""

DependentAction = Literal["ask", "asked", "known", "loop", "none", "failed"]
"""``ask``: its owner is to be asked, now or once what it needs is there. ``known``: its owner was
asked already. ``loop``: asking would go in a circle. ``none``: nobody in aksci.toml sees to it."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds that one image took."""

    make: float = 0.0
    """Its build, validation included, without waiting for its turn."""
    gate: float = 0.0
    """Scan and signature."""

    @property
    def total(self) -> float:
        """Both."""
        return self.make + self.gate


@dataclass(frozen=True, kw_only=True)
class ImageOutcome:
    """What a cascade does, or did, with one image."""

    image: str
    action: Action
    reasons: tuple[Mapping[str, Any], ...] = ()
    """As a plan has them: ``BASE_DRIFT``, ``PARENT``, ``MISSING``, ``PREVIOUSLY_FAILED``…"""
    needs: tuple[str, ...] = ()
    """The images of this project that it is based on or takes from."""
    before: str | None = None
    """Digest of what its first stable tag meant when the cascade began."""
    after: str | None = None
    """Digest of what it is now."""
    spent: Spent = field(default_factory=Spent)
    error: str = ""
    """Why it failed, in one line."""
    blocked_by: tuple[str, ...] = ()
    """The images whose failures block it."""
    withheld: bool = False
    """It was made and passed, and its stable tags stay: another image of its group failed."""


@dataclass(frozen=True, kw_only=True)
class FindingMove:
    """One vulnerability, secret or misconfiguration that came or went with an image's move."""

    image: str
    change: Literal["fixed", "introduced"]
    id: str
    package: str
    severity: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class EnvironmentOutcome:
    """What became of one environment that opted in."""

    name: str
    outcome: Became
    detail: str = ""
    services: tuple[str, ...] = ()
    """Those that were rolled out."""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """An image in another repository of the registry that is built on what moved."""

    repository: str
    tag: str
    digest: str
    reference: str
    """The base, in full, as recorded."""
    recorded: str
    current: str
    action: DependentAction
    target: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """What a cascade has found and done, or, planned, would do.

    Each step of a cascade returns it with what it has found. Where something fails, all else is
    done nevertheless: ``require`` raises the first error when there is nothing more to do.
    """

    project: str
    environment: str
    run: str
    created: str
    """When, in UTC, as ``2026-11-24T12:00:00Z``."""
    planned: bool
    """It is a plan: nothing was done."""
    drift: tuple[EdgeDrift, ...] = ()
    """Every recorded edge, those that are the same, too."""
    images: tuple[ImageOutcome, ...] = ()
    """Parents before children."""
    findings: tuple[FindingMove, ...] = ()
    tags: tuple[MovedTag, ...] = ()
    release_before: str = ""
    release_after: str = ""
    environments: tuple[EnvironmentOutcome, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each step: ``look``, ``images``, ``release``, ``tags``, ``deploy``; ``registry``
    is the search in other repositories."""
    seconds: float = 0.0
    """That its steps took together."""
    error: AksciError | None = field(default=None, compare=False)
    """The first one."""
    _scope: CascadeScope | None = field(default=None, compare=False, repr=False)

    @property
    def to_do(self) -> bool:
        """Whether a plan has images to make again, or owners to ask; what failed counts, too."""
        return any(one.action != "kept" for one in self.images) or any(
            one.action == "ask" for one in self.dependents
        )

    def require(self) -> Cascade:
        """Return it, or raise the first error."""
        if self.error:
            raise self.error
        return self


def gone_on(
    cascade: Cascade, step: str, seconds: float, error: AksciError | None = None, **found: Any
) -> Cascade:
    """Return a cascade with what a further step has found; the first error stays.

    :param seconds: that the step took.
    :param found: fields of ``Cascade``.
    """
    return replace(
        cascade,
        steps={**cascade.steps, step: seconds},
        seconds=cascade.seconds + seconds,
        error=cascade.error or error,
        **found,
    )


def within(cascade: Cascade, scope: CascadeScope) -> Cascade:
    """Return a cascade with what it looks at, for its further steps."""
    return replace(cascade, _scope=scope)


def scope_of(cascade: Cascade) -> CascadeScope | None:
    """Return what a cascade has looked at; None: no step has made it."""
    return cascade._scope  # noqa: SLF001 - nobody's business but the steps'


# What becomes of each image

_ACTIONS: dict[str, Action] = {
    "built": "rebuilt",
    "reused": "reused",
    "kept": "kept",
}


def outcomes_of(
    graph: Graph, run: CascadeRun, outcome: QueueOutcome[ImageDone], *, held: Collection[str]
) -> tuple[ImageOutcome, ...]:
    """Return what became of each image, parents before children.

    :param held: images whose tags stay, whatever became of them.
    """
    return tuple(_outcome(graph, run, outcome, name, held) for name in graph.order)


def planned_outcomes(graph: Graph, outcome: QueueOutcome[Planned]) -> tuple[ImageOutcome, ...]:
    """Return what would become of each image, parents before children."""
    found = []
    for name in graph.order:
        needs = tuple(sorted(graph.parents[name]))
        planned = outcome.done.get(name)
        if planned is None:
            found.append(_not_done(name, needs, outcome, before=None))
            continue
        published = planned.choice.published
        found.append(
            ImageOutcome(
                image=name,
                action="kept" if planned.choice.kept else "rebuild",
                reasons=planned.choice.reasons,
                needs=needs,
                before=published.ref.digest if published else None,
                after=planned.digest,
            )
        )
    return tuple(found)


def _outcome(
    graph: Graph,
    run: CascadeRun,
    outcome: QueueOutcome[ImageDone],
    name: str,
    held: Collection[str],
) -> ImageOutcome:
    choice = run.choices.get(name)
    published = choice.published if choice else None
    before = published.ref.digest if published else None
    needs = tuple(sorted(graph.parents[name]))
    made = run.made.get(name)
    done = outcome.done.get(name)
    if done is None:
        reasons = choice.reasons if choice else ()
        return replace(_not_done(name, needs, outcome, before=before), reasons=reasons)
    image = done.image
    return ImageOutcome(
        image=name,
        action=_ACTIONS[image.action],
        reasons=choice.reasons if choice else (),
        needs=needs,
        before=before,
        after=image.ref.digest,
        spent=Spent(make=made.seconds if made else 0.0, gate=run.gated.get(name, 0.0)),
        # The tag of an image that is kept means it already.
        withheld=name in held and image.action != "kept",
    )


def _not_done(
    name: str,
    needs: tuple[str, ...],
    outcome: QueueOutcome[ImageDone] | QueueOutcome[Planned],
    *,
    before: str | None,
) -> ImageOutcome:
    error = outcome.failed.get(name)
    blame = tuple(sorted(outcome.blocked.get(name, ())))
    return ImageOutcome(
        image=name,
        action="failed" if error else "blocked",
        needs=needs,
        before=before,
        error=error.message.splitlines()[0] if error else "",
        blocked_by=blame,
    )
