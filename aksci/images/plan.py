"""What a build would do, and why, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aksci.images.finished import find_finished
from aksci.images.graph import Graph, graph_document
from aksci.images.inputs import inputs_of
from aksci.images.lineage import read_lineage
from aksci.images.reasons import Reason, explain, reasons_for
from aksci.images.scheduler import run_ready
from aksci.images.tree import TreeHasher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.errors import AksciError
    from aksci.registry import Registry

__all__ = ["BuildPlan", "Work", "plan_build", "plan_document", "plan_text"]

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Work:
    """One image of a plan."""

    image: str
    action: Literal["build", "reuse"]
    reasons: tuple[Reason, ...]
    """Empty when it is reused."""
    digest: str | None
    """Of what is reused."""
    identity: str | None = None
    """What is reused counts as this in the keys of what needs it."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """What a build would do now, in its order."""

    graph: Graph
    work: tuple[Work, ...]

    @property
    def to_build(self) -> tuple[str, ...]:
        """Names of the images that would be built, in order."""
        return tuple(one.image for one in self.work if one.action == "build")


def plan_build(
    graph: Graph,
    *,
    registry: Registry,
    resolve_external: Callable[[str], str],
    force: frozenset[str] = frozenset(),
    only: frozenset[str] = frozenset(),
) -> BuildPlan:
    """Plan a build. The registry is read, nothing is written.

    A child of an image that is to be built counts as to be built, too; the build itself may find
    that the parent came out the same, and then reuse the child.
    """
    hasher = TreeHasher(graph.root)
    wanted = graph.with_parents(only) if only else frozenset(graph.images)

    def work(name: str, parents: Mapping[str, Work]) -> Work:
        inputs = inputs_of(
            graph,
            name,
            hasher=hasher,
            registry_host=registry.host,
            built={parent: one.digest for parent, one in parents.items()},
            identities={name: one.identity for name, one in parents.items() if one.identity},
            resolve_external=resolve_external,
        )
        spec, recipe = graph.images[name].spec, graph.images[name].recipe
        if name in force:
            return Work(image=name, action="build", reasons=({"code": "FORCED"},), digest=None)
        found = None
        if inputs.reusable and inputs.key:
            attested = bool(spec.attestations.words)
            found = find_finished(registry, spec.repository, inputs.key, attested=attested)
        if found:
            return Work(
                image=name,
                action="reuse",
                reasons=(),
                digest=found.digest,
                identity=found.identity,
            )
        previous = read_lineage(registry, spec.repository, spec.tags[0])
        reasons = reasons_for(
            inputs.source, inputs.parents, inputs.internal, previous, opaque=recipe.opaque
        )
        return Work(image=name, action="build", reasons=reasons, digest=None)

    parents = {name: graph.parents[name] for name in graph.order if name in wanted}
    outcome = run_ready(parents, work, workers=_LOOKUPS, stop=lambda: None)
    error: AksciError | None = next(iter(outcome.failed.values()), None)
    if error is not None:
        raise error
    return BuildPlan(graph=graph, work=tuple(outcome.done[name] for name in parents))


def plan_document(plan: BuildPlan) -> dict[str, Any]:
    """Return the plan as ``plan --format json`` prints it (DESIGN §4)."""
    return {
        **graph_document(plan.graph),
        "work": [
            {"image": one.image, "action": one.action, "reasons": list(one.reasons)}
            for one in plan.work
        ],
    }


def plan_text(plan: BuildPlan) -> str:
    """Return the plan for people: one line an image, one a reason."""
    width = max((len(one.image) for one in plan.work), default=0)
    lines = []
    for one in plan.work:
        if one.action == "reuse":
            lines.append(f"  reuse  {one.image:{width}}  {one.digest}")
        else:
            first, *more = [explain(reason) for reason in one.reasons]
            lines.append(f"  build  {one.image:{width}}  {first}")
            lines += [f"         {'':{width}}  {text}" for text in more]
    count = len(plan.to_build)
    rest = len(plan.work) - count
    lines.append(f"{count} to build, {rest} to reuse.")
    return "\n".join(lines)
