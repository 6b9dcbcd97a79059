"""What the bases of one image are to be: as the registry says now, or as a policy holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import policy_of
from aksci.cascade.published import read_published
from aksci.core.errors import NotFoundInRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.cascade.drift import Meanings
    from aksci.config.cascade_models import CascadeConfig
    from aksci.images.dockerfile.onbuild import Bases
    from aksci.images.dockerfile.recipe import EdgeType
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["ChosenBases", "PolicyBases", "types_of"]


@dataclass(frozen=True, kw_only=True)
class ChosenBases:
    """Answer with the digests that were chosen for one image; implements ``Bases``."""

    chosen: Mapping[str, str]
    """Full reference -> digest."""
    otherwise: Bases

    def __call__(self, reference: str) -> str:
        """Return the digest that is chosen, or that the reference means now."""
        return self.chosen.get(reference) or self.otherwise(reference)

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of a digest; of one that is gone, none."""
        try:
            return self.otherwise.onbuild(reference, digest, platforms)
        except NotFoundInRegistry:
            if self.chosen.get(reference) != digest:
                raise
            return ()


@dataclass(frozen=True, kw_only=True)
class PolicyBases:
    """The bases of each image under [cascade], for a build.

    A base that a cascade would leave is left by a build, too: what the image recorded stays, if the
    record can be trusted. Whoever may push could otherwise say which old version is built on.
    """

    graph: Graph
    registry: Registry
    config: CascadeConfig
    meanings: Meanings
    resolve: Bases
    trusted: Callable[[ImageRef, str], bool] | None = None
    """Tells whether a digest with an input key is trusted. None: all are."""

    def of(self, name: str) -> Bases:
        """Return what the bases of one image are to be."""
        policies = {
            reference: policy_of(self.config, reference, kind)
            for reference, kind in types_of(self.graph, name).items()
        }
        held = {reference for reference, policy in policies.items() if policy.update != "now"}
        recorded = self._recorded(name) if held else {}
        chosen = {
            reference: recorded[reference]
            if reference in held and reference in recorded
            else self.meanings.meaning(reference, policy)[0]
            for reference, policy in policies.items()
            if reference in held or policy.digest or policy.tags
        }
        return ChosenBases(chosen=chosen, otherwise=self.resolve) if chosen else self.resolve

    def _recorded(self, name: str) -> Mapping[str, str]:
        published = read_published(self.registry, self.graph.images[name].spec)
        lineage = published.lineage if published else None
        if published is None or lineage is None:
            return {}
        if self.trusted is not None and not self.trusted(published.ref, lineage.input_key):
            return {}
        return lineage.digests


def types_of(graph: Graph, name: str) -> dict[str, EdgeType]:
    """Return what an image needs from outside by tag, each with the kind of its edge."""
    return {
        one.reference: one.type
        for one in graph.external_of[name]
        if not one.previous and "@" not in one.reference
    }
