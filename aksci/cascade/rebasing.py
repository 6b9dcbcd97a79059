"""Whether images of the project may be rebased in this run, and doing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from aksci.images.annotations import BASE_DIGEST
from aksci.images.build.build_request import pinned
from aksci.images.engines.builder import BuildOutput
from aksci.images.rebase.apply import apply_rebase
from aksci.images.rebase.conditions import BaseCache, RebaseCheck, check_rebase
from aksci.images.rebase.facts import facts_of
from aksci.images.rebase.model import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.cascade.choose import Choice
    from aksci.images.bases import BaseResolver
    from aksci.images.build.build_request import Requests
    from aksci.images.inputs import Inputs
    from aksci.images.reasons import Reason
    from aksci.oci.registry import TransferRegistry

__all__ = ["Rebasing"]

_MOVED = frozenset({"BASE_DRIFT", "PARENT", "PREVIOUSLY_FAILED"})
"""Reasons that leave the published image believable: all that it needs is another base."""


@dataclass(kw_only=True)
class Rebasing:
    """Checks and rebases images of the project. Called from several threads."""

    registry: TransferRegistry
    resolver: BaseResolver
    requests: Requests
    conditions: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    """By image, as they were checked."""
    _cache: BaseCache = field(default_factory=BaseCache, repr=False)

    def rebase(self, choice: Choice, inputs: Inputs) -> BuildOutput | None:
        """Put an image on its new base; None: that is not provably the same as a rebuild.

        :raises RegistryError: the registry can't be asked, or refuses what is stored.
        """
        check = self._check(choice, inputs)
        self.conditions[choice.image] = check.conditions
        if check.plan is None:
            return None
        done = apply_rebase(check.plan, self.registry)
        return BuildOutput(digest=done.digest, provenance=done.provenance, manifest=done.manifest)

    def foresee(self, choice: Choice, digests: Mapping[str, str | None]) -> tuple[Condition, ...]:
        """Return the conditions of a rebase, as far as they can be told now.

        While a parent is to be made first, and for an image whose base has not moved, its old base
        stands for the new one.

        :param digests: images of this project that it needs -> digest; None: it is to be made.
        """
        lookup = self.requests.lookup
        inputs = lookup.inputs(
            choice.image, built=digests, identities={}, resolve_external=choice.bases
        )
        check = self._check(choice, inputs, foresee=True)
        return check.conditions

    def _check(self, choice: Choice, inputs: Inputs, *, foresee: bool = False) -> RebaseCheck:
        distrust = [reason for reason in choice.reasons if _distrusts(reason)]
        published, runtime = choice.published, inputs.runtime
        if published is None or distrust:
            why = "nothing that could be rebased is published, or it can't be believed"
            return _refused("believable-image", why)
        if runtime is None:
            return _refused("one-base", "it stands on no image, or on several")
        if published.manifest:
            self._cache.get(str(published.ref), lambda: published.manifest)
        recorded = choice.recorded
        if published.annotations.get(BASE_DIGEST):  # what a parent counts as may be no manifest
            recorded[runtime] = published.annotations[BASE_DIGEST]
        now = {name: digest for name, digest in inputs.parents.items() if digest}
        if new := pinned(inputs, runtime):
            now[runtime] = new
        if foresee:
            now = {**recorded, **now}
        same = foresee and now.get(runtime) == recorded.get(runtime)
        check = check_rebase(
            facts_of(inputs.image),
            image=published.ref,
            runtime=runtime,
            recorded=recorded,
            now=now,
            registry=self.registry,
            where=lambda reference: self._where(inputs, reference),
            platforms=self.requests.lookup.graph.images[choice.image].spec.platforms,
            annotations=self.requests.annotations(inputs),
            cache=self._cache,
        )
        return _without_move(check) if same else check

    def _where(self, inputs: Inputs, reference: str) -> tuple[TransferRegistry, str]:
        if reference in inputs.internal:
            image = self.requests.lookup.graph.images[inputs.internal[reference]]
            return self.registry, image.spec.repository
        registry, repository = self.resolver.where(reference)
        return cast("TransferRegistry", registry), repository


def _distrusts(reason: Reason) -> bool:
    return reason["code"] not in _MOVED


def _refused(name: str, detail: str) -> RebaseCheck:
    return RebaseCheck(conditions=(Condition(name=name, holds=False, detail=detail),), plan=None)


def _without_move(check: RebaseCheck) -> RebaseCheck:
    """Leave out that the base has not moved yet: it is to move first, or nobody asked for that."""
    kept = tuple(one for one in check.conditions if one.name != "only-base-moved")
    return RebaseCheck(conditions=kept, plan=None)
