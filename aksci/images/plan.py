"""What a build would do, and why, without doing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from aksci.images.graph import Graph, graph_document
from aksci.images.lookup import Lookup
from aksci.images.reasons import Reason, waits
from aksci.images.undecided import Noting, Undecided, undecided_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.core.errors import AksciError
    from aksci.images.build.failures import Failure
    from aksci.images.dockerfile.onbuild import Bases
    from aksci.images.inputs import Inputs
    from aksci.oci.registry import Registry

__all__ = ["BuildPlan", "Work", "plan_build", "plan_document"]

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
    key: str | None = None
    """The input key; None while a parent is to be built."""
    inputs: Inputs | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """What a build would do now, in its order."""

    graph: Graph
    work: tuple[Work, ...]
    """Parents before children."""

    @property
    def to_build(self) -> tuple[str, ...]:
        """Names of the images that would be built, in order."""
        return tuple(one.image for one in self.work if one.action == "build")

    @cached_property
    def by_name(self) -> dict[str, Work]:
        """Work by image."""
        return {one.image: one for one in self.work}

    @cached_property
    def causes(self) -> dict[str, tuple[str, ...]]:
        """Image to build -> the shortest way from it to one that has a reason of its own.

        ``("catalog", "python", "base")``: catalog is built since python is, and that since base is.
        """
        found: dict[str, tuple[str, ...]] = {}
        for one in self.work:
            parents = [reason["image"] for reason in one.reasons if waits(reason)]
            if one.action == "build":
                own = len(parents) < len(one.reasons)
                ways = [()] if own else [found[parent] for parent in parents]
                found[one.image] = (one.image, *min(ways, key=lambda way: (len(way), way)))
        return found


def plan_build(
    graph: Graph,
    *,
    registry: Registry,
    resolve_external: Bases,
    force: frozenset[str] = frozenset(),
    selected: frozenset[str] | None = None,
    failures: Mapping[str, Failure] | None = None,
    bases_of: Callable[[str], Bases] | None = None,
) -> BuildPlan:
    """Plan a build. The registry is read, nothing is written.

    A child of an image that is to be built counts as to be built, too; the build itself may find
    that the parent came out the same, and then reuse the child.

    :param selected: the images to look at, with all that they need; None: all.
    :param failures: of the last runs: another reason for what is to be built anyway.
    :param bases_of: what the bases of one image are to be; None: what they mean now.
    :raises ConfigError: an image to build again does not exist, or is not selected.
    :raises UndecidedError: what images from outside are can't be told; it holds all that can.
    :raises RegistryError: the registry could not be asked: that never means "not built".
    """
    lookup = Lookup(
        graph=graph,
        registry=registry,
        resolve_external=resolve_external,
        force=force,
        failures=failures or {},
        bases_of=bases_of,
    )
    work = partial(_work, lookup)
    outcome = lookup.run(work, selected=selected, workers=_LOOKUPS, stop=lambda: None)
    error: AksciError | None = next(iter(outcome.failed.values()), None)
    if error is not None:
        raise error
    done = [outcome.done[name] for name in graph.order if name in outcome.done]
    plan = BuildPlan(graph=graph, work=tuple(one for one in done if isinstance(one, Work)))
    undecided = [one for one in done if isinstance(one, Undecided)]
    if undecided:
        raise undecided_error(plan, undecided)
    return plan


def plan_document(plan: BuildPlan) -> dict[str, Any]:
    """Return the plan as ``plan --format json`` prints it (DESIGN §4, schemas/plan.schema.json)."""
    return {
        **graph_document(plan.graph),
        "work": [
            {
                "image": one.image,
                "action": one.action,
                "reasons": list(one.reasons),
                "key": one.key,
                "digest": one.digest,
                "cause": list(plan.causes.get(one.image, ())),
            }
            for one in plan.work
        ],
    }


def _work(lookup: Lookup, name: str, parents: Mapping[str, Work | Undecided]) -> Work | Undecided:
    """Look one image up. Called from several threads."""
    bases = Noting(lookup.bases(name))
    inputs = lookup.inputs(
        name,
        built={parent: one.digest for parent, one in parents.items()},
        identities={parent: one.identity for parent, one in parents.items() if one.identity},
        resolve_external=bases,
    )
    waits = tuple(sorted(one.image for one in parents.values() if isinstance(one, Undecided)))
    if bases.failed or waits:
        spec = lookup.graph.images[name].spec
        published = lookup.registry.resolve(spec.repository, spec.tags[0]) is not None
        return Undecided(image=name, failed=bases.failed, waits=waits, published=published)
    found = lookup.find(name, inputs)
    return Work(
        image=name,
        action="reuse" if found else "build",
        reasons=() if found else lookup.reasons(name, inputs),
        digest=found.digest if found else None,
        identity=found.identity if found else None,
        key=inputs.key,
        inputs=inputs,
    )
