"""Decide whether an image may be put on another base: only where that is the same as a rebuild."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import NotFoundInRegistry
from aksci.images.platforms import normalise_platform
from aksci.images.rebase.names import STATIC, condition
from aksci.images.rebase.plan import RebasePlan, Trio, plan_rebase
from aksci.images.rebase.proof import PROOF
from aksci.images.rebase.stored import BaseCache, Place
from aksci.images.rebase.texts import DamagedError
from aksci.oci.answers import is_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.rebase.model import Condition
    from aksci.images.rebase.recorded import RebaseFacts
    from aksci.images.rebase.stored import PlatformImage, Stored
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import TransferRegistry

__all__ = ["BaseCache", "RebaseCheck", "check_rebase"]


@dataclass(frozen=True, kw_only=True)
class RebaseCheck:
    """Whether an image may be rebased, and how."""

    conditions: tuple[Condition, ...]
    """All that were looked at; once one fails that others need, those are not."""
    plan: RebasePlan | None
    """None: one of them fails."""


def check_rebase(
    facts: RebaseFacts,
    *,
    image: ImageRef,
    runtime: str,
    recorded: Mapping[str, str],
    now: Mapping[str, str],
    registry: TransferRegistry,
    where: Callable[[str], tuple[TransferRegistry, str]],
    platforms: tuple[str, ...],
    annotations: Mapping[str, str],
    cache: BaseCache | None = None,
) -> RebaseCheck:
    """Look at all conditions of a rebase; where all hold, say what it will store.

    The registry is asked only where the Dockerfile and the parents allow a rebase.

    :param image: the image as it is published.
    :param runtime: full reference of what its final stage stands on.
    :param recorded: full reference of each parent -> the digest that the image was built from.
    :param now: the same, with what a rebuild would be built from. Both are digests in a registry,
        not what counts in keys in their place (``content_identity``).
    :param registry: the image's.
    :param where: tells the registry and the repository of a full reference.
    :param platforms: that the image is built for; empty: those that it has.
    :param annotations: what a rebuild would write on its manifests, and on its index.
    :param cache: shared by the checks of a run.
    :raises RegistryError: a registry can't be asked. That something is not there is a condition.
    """
    found = [*_of_dockerfile(facts), _only_base_moved(runtime, recorded, now)]
    if not all(one.holds for one in found):
        return RebaseCheck(conditions=tuple(found), plan=None)
    cache = cache or BaseCache()
    source_registry, source_repository = where(runtime)
    source = Place(registry=source_registry, repository=source_repository, cache=cache)
    empty = RebasePlan(
        image=image,
        runtime=runtime,
        old_base=recorded[runtime],
        new_base=now[runtime],
        source=source,
        layers=(),
        configs=(),
        manifests=(),
        index=None,
    )
    look = _Look(Place(registry=registry, repository=image.repository, cache=cache), empty)
    stored, trios = look.read(tuple(map(normalise_platform, platforms)))
    found += look.conditions
    if stored is None:
        return RebaseCheck(conditions=tuple(found), plan=None)
    # Some were looked at in part already: in the Dockerfile.
    found = [*(one for one in found if one.name not in PROOF), *_proof(trios, facts)]
    if not all(one.holds for one in found):
        return RebaseCheck(conditions=tuple(found), plan=None)
    plan = plan_rebase(stored, trios, facts, annotations, empty)
    return RebaseCheck(conditions=tuple(found), plan=plan)


def _of_dockerfile(facts: RebaseFacts) -> Iterator[Condition]:
    blockers: dict[str, list[str]] = {name: [] for name in STATIC}
    for one in facts.blockers:
        place = f"line {one.line}: {one.instruction}: " if one.line else ""
        # A name that we don't know was recorded by another version, and still stands in the way.
        name = one.condition if one.condition in blockers else "plain-recipe"
        blockers[name].append(f"{place}{one.why}")
    for name, problems in blockers.items():
        yield condition(name, problems)


def _only_base_moved(
    runtime: str, recorded: Mapping[str, str], now: Mapping[str, str]
) -> Condition:
    moved = {name for name in recorded.keys() | now.keys() if recorded.get(name) != now.get(name)}
    problems = [f"{name} has changed, too" for name in sorted(moved - {runtime})]
    if runtime not in moved:
        problems.insert(0, f"its base {runtime} has not changed")
    elif not (is_digest(recorded.get(runtime, "")) and is_digest(now.get(runtime, ""))):
        problems.insert(0, f"nobody knows which {runtime} is, or was, its base")
    return condition("only-base-moved", problems)


def _proof(trios: tuple[Trio, ...], facts: RebaseFacts) -> Iterator[Condition]:
    for name, problems_of in PROOF.items():
        problems = [
            f"{trio.image.platform}: {problem}" if len(trios) > 1 else problem
            for trio in trios
            for problem in problems_of(trio.image, trio.old, trio.new, facts)
        ]
        yield condition(name, problems)


class _Look:
    """Read the image and both bases, and note what can't be read."""

    def __init__(self, place: Place, plan: RebasePlan) -> None:
        self._place = place
        self._plan = plan
        self.conditions: list[Condition] = []

    def read(self, platforms: tuple[str, ...]) -> tuple[Stored | None, tuple[Trio, ...]]:
        """Return the image and, by platform, all three; None where a condition failed."""
        plan = self._plan
        stored = self._image(plan.image.digest, platforms)
        if stored is None:
            return None, ()
        olds = self._base("old", plan.old_base, stored)
        news = self._base("new", plan.new_base, stored) if olds is not None else None
        if olds is None or news is None:
            return None, ()
        lacking = [
            f"the {name} base has not exactly one image for {one.platform}"
            for name, bases in (("old", olds), ("new", news))
            for one, base in zip(stored.images, bases, strict=True)
            if base is None
        ]
        self._note("platforms", *lacking)
        trios = tuple(
            Trio(image=image, old=old, new=new)
            for image, old, new in zip(stored.images, olds, news, strict=True)
            if old is not None and new is not None
        )
        return (None, ()) if lacking else (stored, trios)

    def _note(self, name: str, *problems: str) -> bool:
        self.conditions.append(condition(name, problems))
        return self.conditions[-1].holds

    def _image(self, digest: str, platforms: tuple[str, ...]) -> Stored | None:
        try:
            stored = self._place.image(digest)
        except NotFoundInRegistry:
            self._note("image-readable", "the image, or a part of it, is not in its registry")
            return None
        except DamagedError as error:
            self._note("image-readable", str(error))
            return None
        self._note("image-readable")
        attested = ["its index holds attestations of the old image"] if stored.attested else []
        if not self._note("no-attestations", *attested):
            return None
        has = [one.platform for one in stored.images]
        if len(set(has)) < len(has) or not has or (platforms and set(has) != set(platforms)):
            said = f"it has {', '.join(has) or 'none'}, not {', '.join(platforms)}"
            self._note("platforms", said)
            return None
        return stored

    def _base(self, name: str, digest: str, stored: Stored) -> list[PlatformImage | None] | None:
        problem = ""
        try:
            bases = [self._plan.source.base(digest, one.platform) for one in stored.images]
        except NotFoundInRegistry:
            problem = f"{self._plan.runtime}, {digest}, is not in its registry any more"
        except DamagedError as error:
            problem = f"{self._plan.runtime}, {digest}: {error}"
        good = self._note(f"{name}-base-readable", *filter(None, [problem]))
        return bases if good else None
