"""Plan a build: what it would do, and why; or which images can't be planned, and why not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import UndecidedError
from aksci.images.bases import BaseImageError, BaseResolver
from aksci.images.graph import Graph, graph_document
from aksci.images.lookup import Lookup
from aksci.images.reasons import Reason, waits
from aksci.images.same_builds import same_as, same_reason
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from aksci.core.errors import AksciError
    from aksci.images.build.build_record import Failure
    from aksci.images.inputs import Inputs
    from aksci.oci.registry import Registry

__all__ = [
    "BuildPlan",
    "Undecided",
    "Work",
    "plan_build",
    "plan_document",
    "shown_reference",
    "work_document",
]

_LOOKUPS = 16
_UNKNOWN = "sha256:" + "0" * 64
_SHOWN = 5
"""Images named for one base; more would hide the other bases."""
_HINTS = 3
_DIGEST = len("sha256:") + 12


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
    only: tuple[str, ...] = ()
    """The images that were asked for, sorted; it holds what they need, too. Empty: all."""
    with_dependents: bool = False
    """With ``only``, also what is built on those images."""

    @property
    def to_build(self) -> tuple[str, ...]:
        """Names of the images that would be built, in order."""
        return tuple(one.image for one in self.work if one.action == "build")

    @property
    def copied(self) -> tuple[str, ...]:
        """Those of ``to_build`` that are the same build as another image, in order."""
        return tuple(one.image for one in self.work if same_as(one.reasons))

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
                # Parents come first in a plan, so the ways from them are known by now.
                own = len(parents) < len(one.reasons)
                ways = [()] if own else [found[parent] for parent in parents]
                found[one.image] = (one.image, *min(ways, key=lambda way: (len(way), way)))
        return found


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """An image that can't be planned."""

    image: str
    failed: tuple[BaseImageError, ...]
    """Of its own bases, by reference."""
    waits: tuple[str, ...]
    """Images that it needs, and that can't be planned either."""
    published: bool
    """Whether its first tag is in the registry."""
    digest: None = field(default=None, init=False)
    identity: None = field(default=None, init=False)


def plan_build(
    graph: Graph,
    *,
    registry: Registry,
    bases: BaseResolver,
    force: frozenset[str] = frozenset(),
    selected: frozenset[str] | None = None,
    failures: Mapping[str, Failure] | None = None,
    known: Path | None = None,
) -> BuildPlan:
    """Plan a build. The registry is read, nothing is written.

    A child of an image that is to be built counts as to be built, too; the build itself may find
    that the parent came out the same, and then reuse the child.

    :param selected: the images to look at, with all that they need; None: all.
    :param failures: of the last runs: another reason for what is to be built anyway.
    :param known: the file that keeps what earlier runs have read of the sources.
    :raises ConfigError: an image to build again does not exist, or is not selected.
    :raises UndecidedError: what images from outside are can't be told; it holds all that can.
    :raises RegistryError: the registry could not be asked: that never means "not built".
    """
    lookup = Lookup(
        graph=graph,
        registry=registry,
        bases=bases,
        force=force,
        failures=failures or {},
        known=known,
    )
    outcome = lookup.run(
        partial(_work, lookup), selected=selected, workers=_LOOKUPS, stop=lambda: None
    )
    error: AksciError | None = next(iter(outcome.failed.values()), None)
    if error is not None:
        raise error
    done = [outcome.done[name] for name in graph.order if name in outcome.done]
    work = _with_copies(lookup, {one.image: one for one in done if isinstance(one, Work)})
    plan = BuildPlan(graph=graph, work=work)
    undecided = [one for one in done if isinstance(one, Undecided)]
    if undecided:
        raise _undecided_error(plan, undecided)
    return plan


def plan_document(plan: BuildPlan) -> dict[str, Any]:
    """Return the plan as ``plan --format json`` prints it (report/schemas/plan.schema.json)."""
    return {
        **graph_document(plan.graph),
        "work": work_document(plan),
    }


def work_document(plan: BuildPlan) -> list[dict[str, Any]]:
    """Return what is to be done with each image, as the plan's document has it."""
    return [
        {
            "image": one.image,
            "action": one.action,
            "reasons": list(one.reasons),
            "key": one.key,
            "digest": one.digest,
            "cause": list(plan.causes.get(one.image, ())),
        }
        for one in plan.work
    ]


def _work(lookup: Lookup, name: str, parents: Mapping[str, Work | Undecided]) -> Work | Undecided:
    """Look one image up. Called from several threads."""
    bases = _Collecting(lookup.bases.for_image(name))
    inputs = lookup.inputs(
        name,
        built={parent: one.digest for parent, one in parents.items()},
        identities={parent: one.identity for parent, one in parents.items() if one.identity},
        bases=bases,
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


def _with_copies(lookup: Lookup, work: Mapping[str, Work]) -> tuple[Work, ...]:
    """Say which images are only copied: of those that are the same build, one is built."""
    made: list[Work] = []
    for name, one in work.items():
        others = lookup.same_builds.get(name, ()) if one.action == "build" else ()
        alike = [work[other] for other in others if other in work and work[other].key == one.key]
        # What is finished is copied; else what comes first in the plan is built.
        there = next((other for other in alike if other.action == "reuse"), None)
        first = there or next((each for each in made if each in alike), None)
        reasons = (same_reason(first.image),) if first else one.reasons
        made.append(replace(one, reasons=reasons) if first else one)
    return tuple(made)


class _Collecting(BaseResolver):
    """Collect all bases that can't be resolved, so that one error can name them.

    Where there is one, the answers are not to be used.
    """

    def __init__(self, bases: BaseResolver) -> None:
        self._bases = bases
        self._failed: dict[str, BaseImageError] = {}

    @property
    def failed(self) -> tuple[BaseImageError, ...]:
        """What could not be resolved, by reference."""
        return tuple(self._failed[reference] for reference in sorted(self._failed))

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means, or something of its form."""
        try:
            return self._bases.digest(reference)
        except BaseImageError as error:
            self._failed[error.reference] = error
            return _UNKNOWN  # of the right form, so that the image's other bases are asked for, too

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of a digest; none where they can't be told."""
        if digest == _UNKNOWN:
            return ()
        try:
            return self._bases.onbuild(reference, digest, platforms)
        except BaseImageError as error:
            self._failed[error.reference] = error
            return ()


def shown_reference(reference: str) -> str:
    """Return a full reference as short as it is still clear."""
    parsed = parse_reference(reference)
    digest = f"@{parsed.digest[:_DIGEST]}…" if parsed.digest else ""
    return f"{parsed.familiar}{digest}"


def _undecided_error(plan: BuildPlan, undecided: Sequence[Undecided]) -> UndecidedError:
    """Name every base that can't be resolved, why, and the images that need it."""
    images: dict[str, list[str]] = defaultdict(list)
    causes: dict[str, set[str]] = defaultdict(set)
    for one in undecided:
        for error in one.failed:
            images[error.reference].append(one.image)
            causes[error.why].add(error.reference)
    count = len(images)
    total = len(undecided) + len(plan.work)
    bases = "1 base image" if count == 1 else f"{count} base images"
    told = [f"{bases} can't be resolved, so {len(undecided)} of {total} images can't be planned."]
    for why in sorted(causes):
        told.append(why)
        told += [f"  {_needed_by(name, images)}" for name in sorted(causes[why])]
    hints = {error.hint for one in undecided for error in one.failed if error.hint}
    hint = "\n".join(sorted(hints)[:_HINTS])
    return UndecidedError(
        "\n".join(told),
        plan=plan,
        undecided=tuple(undecided),
        hint=f"{hint}\nnox -s graph needs no registry; plan -- --only IMAGE plans a part.".lstrip(),
    )


def _needed_by(reference: str, images: Mapping[str, Sequence[str]]) -> str:
    named = images[reference]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{shown_reference(reference)}, needed by {', '.join(named[:_SHOWN])}{more}"
