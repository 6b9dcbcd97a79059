"""What FROM means now for one image: as the registry says, or as [cascade] holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import policy_of
from aksci.cascade.published import read_published
from aksci.images.bases import BaseResolver, PinnedBases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.cascade.drift import PolicyDigests
    from aksci.config.cascade_models import CascadeConfig
    from aksci.images.dockerfile.recipe import EdgeType
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["PolicyBases", "types_of"]


@dataclass(frozen=True, kw_only=True)
class PolicyBases(BaseResolver):
    """The bases of each image under [cascade], for a build.

    A base that a cascade would leave is left by a build, too: what the image recorded stays, if the
    record can be trusted. Whoever may push could otherwise say which old version is built on.
    """

    graph: Graph
    registry: Registry
    config: CascadeConfig
    policy_digests: PolicyDigests
    otherwise: BaseResolver
    trusted: Callable[[ImageRef, str], bool] | None = None
    """Tells whether a digest with an input key is trusted. None: all are."""
    key_of: Callable[[ImageRef], str] | None = None
    """Tells the input key of a digest's build, or nothing."""

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means, where no image's policy counts."""
        return self.otherwise.digest(reference)

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means."""
        return self.otherwise.onbuild(reference, digest, platforms)

    def only_platform(self, reference: str, digest: str) -> str:
        """Return what an image is for that is one manifest and no index."""
        return self.otherwise.only_platform(reference, digest)

    def for_image(self, name: str) -> BaseResolver:
        """Return what answers for the bases of one image."""
        policies = {
            reference: policy_of(self.config, reference, kind)
            for reference, kind in types_of(self.graph, name).items()
        }
        held = {reference for reference, policy in policies.items() if policy.update != "now"}
        # Asked only where something is held: it costs several requests for each image.
        recorded = self._recorded(name) if held else {}
        pinned = {
            reference: recorded[reference]
            if reference in held and reference in recorded
            else self.policy_digests.digest(reference, policy)[0]
            for reference, policy in policies.items()
            if reference in held or policy.digest or policy.tags
        }
        return PinnedBases(pinned, self.otherwise) if pinned else self.otherwise

    def _recorded(self, name: str) -> Mapping[str, str]:
        published = read_published(self.registry, self.graph.images[name].spec, self.key_of)
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
