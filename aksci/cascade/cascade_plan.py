"""What a cascade makes again, why, and on which bases: decided image by image, parents first.

``plan_cascade`` decides on all of them and does nothing; ``cascade_run`` decides as it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aksci.cascade.base_policy import policy_of
from aksci.cascade.chosen_bases import types_of
from aksci.cascade.drift import PolicyDigests, SourceEdge, compare_edges, source_edges
from aksci.cascade.published import read_published
from aksci.core.errors import BuildError
from aksci.images.bases import BaseImageError, PinnedBases
from aksci.images.reasons import edges_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.drift import EdgeDrift
    from aksci.cascade.published import Published
    from aksci.config.cascade_models import CascadeConfig
    from aksci.images.bases import BaseResolver
    from aksci.images.build.build_record import Failure
    from aksci.images.dockerfile.recipe import EdgeType
    from aksci.images.inputs import Inputs
    from aksci.images.lineage import Lineage
    from aksci.images.lookup import Lookup
    from aksci.images.reasons import Reason
    from aksci.images.schedule import QueueOutcome
    from aksci.oci.references import ImageRef

__all__ = ["LOOKUPS", "Choice", "Chooser", "Planned", "plan_cascade"]

LOOKUPS = 16
"""Threads of a cascade: most images are only looked at or scanned; builds have their own limit."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a cascade does with one image."""

    image: str
    published: Published | None
    """None: its first stable tag does not exist."""
    edges: tuple[EdgeDrift, ...] = ()
    """As compared; empty where nothing that can be trusted is recorded."""
    reasons: tuple[Reason, ...] = ()
    """Empty: it is kept."""
    bases: BaseResolver
    """What its build is to be based on."""

    @property
    def kept(self) -> bool:
        """Whether what is published stays."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Chooses for each image. Its methods are called from several threads."""

    lookup: Lookup
    config: CascadeConfig
    policy_digests: PolicyDigests
    only: frozenset[str] | None = None
    """Full references of images from outside, or names of images: no other change counts."""
    batch: bool = False
    """Take what the policy keeps for a batch."""
    failures: Mapping[str, Failure]
    trusted: Callable[[ImageRef, str], bool] | None = None
    """Tells whether a digest with an input key is trusted. None: all are."""
    key_of: Callable[[ImageRef], str] | None = None
    """Tells the input key of a digest's build, or nothing."""
    released: Callable[[str], str | None] = lambda _: None
    """Tells which digest the project's last release has for an image, if that can be trusted."""

    def choose(self, name: str, identities: Mapping[str, str | None]) -> Choice:
        """Decide on one image.

        :param identities: each image of this project that it needs -> what it counts as now, or
            None where that is still to be made.
        :raises BuildError: it is to be made again, and its sources are not those of its last build.
        :raises RegistryError: the registry could not be asked: that never means "nothing moved".
        """
        spec = self.lookup.graph.images[name].spec
        published = read_published(self.lookup.registry, spec, self.key_of)
        bases = PinnedBases(self._meant(name, {}), self.lookup.bases)
        distrust = self._distrust(name, published, identities)
        if published is None or distrust:
            reasons = (*distrust, *self._waiting(name, identities))
            return Choice(image=name, published=published, reasons=reasons, bases=bases)
        if self._shares_repository(name):
            self._require_own(name, published, identities)
        edges = compare_edges(
            published,
            edges=self._source_edges(name, published, identities),
            graph_parents=identities,
            policy_digests=self.policy_digests,
            config=self.config,
            only=self.only,
            batch=self.batch,
        )
        reasons = tuple(reason for edge in edges if (reason := _reason(edge)))
        if not reasons:
            return Choice(image=name, published=published, edges=edges, bases=bases)
        # Not before: what is kept ships nothing, whatever its sources are by now.
        self._require_same_sources(name, published, identities)
        failed = self._failed(name)
        pinned = self._meant(name, _chosen(edges))
        return Choice(
            image=name,
            published=published,
            edges=edges,
            reasons=(*reasons, *failed),
            bases=PinnedBases(pinned, self.lookup.bases),
        )

    def _distrust(
        self, name: str, published: Published | None, identities: Mapping[str, str | None]
    ) -> tuple[Reason, ...]:
        """Say why nothing can be kept, whatever has moved."""
        if published is None:
            return ({"code": "MISSING", "known": False},)
        if published.problem:
            return ({"code": "BASELINE", "why": published.problem},)
        if published.lineage is None:
            return ({"code": "BASELINE", "why": "nothing is recorded of what it was built from"},)
        key = published.lineage.input_key
        if self.trusted is not None and not self.trusted(published.ref, key):
            return ({"code": "UNSIGNED", "digest": published.ref.digest},)
        # Two images may have one repository and be the same; whoever may push can take one of them
        # for the other.
        lineage = published.lineage
        if lineage.image != name and not self._has_sources_of(name, lineage, identities):
            return ({"code": "BASELINE", "why": "its tag means another image of the project"},)
        return ()

    def _shares_repository(self, name: str) -> bool:
        images = self.lookup.graph.images
        repository = images[name].spec.repository
        return any(
            image.spec.repository == repository for other, image in images.items() if other != name
        )

    def _source_edges(
        self, name: str, published: Published, identities: Mapping[str, str | None]
    ) -> Mapping[str, SourceEdge]:
        """Return what the sources say of the references that an image has recorded."""
        found = source_edges(self.lookup.graph, name)
        lineage = published.lineage
        if lineage is None or lineage.parents.keys() <= found.keys():
            return found
        # An ONBUILD of a base from outside may name further ones: of the bases that were recorded.
        try:
            inputs = self._recorded_inputs(name, lineage, identities)
        except BaseImageError:  # the sources are others by now, and have a base that can't be asked
            return found
        needed = edges_of(self.lookup.graph, name, inputs).items()
        onbuild = {
            reference: SourceEdge(cast("EdgeType", edge["type"])) for reference, edge in needed
        }
        return onbuild | found

    def _waiting(self, name: str, identities: Mapping[str, str | None]) -> tuple[Reason, ...]:
        kinds = {edge.base: edge.type for edge in self.lookup.graph.edges_to[name]}
        return tuple(
            {"code": "PARENT", "image": parent, "edge": kinds[parent], "waiting": True}
            for parent, identity in sorted(identities.items())
            if identity is None
        )

    def _meant(self, name: str, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return the digests of what an image needs from outside: chosen, or by its policy."""
        found = dict(chosen)
        for reference, kind in types_of(self.lookup.graph, name).items():
            if reference not in found:
                policy = policy_of(self.config, reference, kind)
                if policy.digest or policy.tags:
                    found[reference] = self.policy_digests.digest(reference, policy)[0]
        return found

    def _require_own(
        self, name: str, published: Published, identities: Mapping[str, str | None]
    ) -> None:
        """Refuse what may be another image of the repository, by its signature as good as this one.

        No signature covers the name that a record gives its image. The sources decide. Where those
        were edited since, and not built, the last release does: it binds names to digests.
        """
        lineage = published.lineage
        if lineage is None or self._has_sources_of(name, lineage, identities):
            return
        if self.released(name) != published.ref.digest:
            raise BuildError(
                f"{name}: its sources are not those of {published.ref}, which its tag means"
                f"{_of_commit(lineage.revision)}, and the last release has another image of that "
                "name, or none. Several images have this repository: it may be another one's.",
                hint="nox -s build",
            )

    def _require_same_sources(
        self, name: str, published: Published, identities: Mapping[str, str | None]
    ) -> None:
        """Refuse to ship what a cascade is not for: a change of the sources."""
        lineage = published.lineage
        if lineage and not self._has_sources_of(name, lineage, identities):
            raise BuildError(
                f"{name}: its sources are not those of its last build, {published.ref}"
                f"{_of_commit(lineage.revision)}. A cascade changes bases, and nothing else.",
                hint="nox -s build, which takes the new sources and the new bases together.",
            )

    def _has_sources_of(
        self, name: str, lineage: Lineage, identities: Mapping[str, str | None]
    ) -> bool:
        """Tell whether an image's sources are those of a build.

        They are read with the bases that were recorded, whose ONBUILD was part of the build.
        """
        inputs = self._recorded_inputs(name, lineage, identities)
        return inputs.source.document() == lineage.source

    def _recorded_inputs(
        self, name: str, lineage: Lineage, identities: Mapping[str, str | None]
    ) -> Inputs:
        """Return what an image is made of now, on the bases that were recorded."""
        return self.lookup.inputs(
            name,
            # Without digests of parents: only the sources are compared, which those are no part of.
            built=dict.fromkeys(identities),
            identities={},
            # With today's bases, an ONBUILD that is new would look like a change of the sources.
            bases=PinnedBases(lineage.digests, self.lookup.bases),
        )

    def _failed(self, name: str) -> tuple[Reason, ...]:
        failure = self.failures.get(name)
        if failure is None:
            return ()
        return ({"code": "PREVIOUSLY_FAILED", "error": failure.error, "run": failure.run},)


def _chosen(edges: tuple[EdgeDrift, ...]) -> dict[str, str]:
    """Return which digests an image from outside is to mean, for an image that is made again.

    What waits for a batch goes along; what is ignored stays.
    """
    return {
        # A batched change goes along: else the image would be made once more for it.
        edge.reference: edge.recorded if edge.state == "ignored" else cast("str", edge.current)
        for edge in edges
        if not edge.parent and "@" not in edge.reference
    }


def _reason(edge: EdgeDrift) -> Reason | None:
    kind: EdgeType = edge.type
    if edge.state == "waiting":
        return {"code": "PARENT", "image": edge.parent, "edge": kind, "waiting": True}
    if edge.state != "drifted":
        return None
    subject = {"code": "PARENT", "image": edge.parent} if edge.parent else {"code": "BASE_DRIFT"}
    return {
        **subject,
        "reference": edge.reference,
        "edge": kind,
        "old": edge.recorded,
        "new": edge.current,
    }


def _of_commit(revision: str) -> str:
    return f" (of {revision[:12]})" if revision else ""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One image of a plan."""

    choice: Choice
    digest: str | None = None
    """Of what is kept; None: it is to be made."""
    identity: str | None = None
    """What it counts as in the keys of what needs it; None: it is to be made."""


def plan_cascade(lookup: Lookup, chooser: Chooser) -> QueueOutcome[Planned]:
    """Look at every image. The registry is read, nothing is written.

    What is based on an image that is to be made counts as to be made, too; the cascade itself may
    find that the parent came out the same, and then keep the child.
    """

    def one(name: str, parents: Mapping[str, Planned]) -> Planned:
        choice = chooser.choose(name, {parent: it.identity for parent, it in parents.items()})
        published = choice.published
        if published is None or not choice.kept:
            return Planned(choice=choice)
        return Planned(choice=choice, digest=published.ref.digest, identity=published.identity)

    return lookup.run(one, selected=None, workers=LOOKUPS, stop=lambda: None)
