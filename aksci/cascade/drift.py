"""Drift: what an image was built from, against what the same names mean now.

A signature covers the names and digests that an image has recorded, and nothing else of its record:
of which kind an edge is, and whether it leads to an image of this project, the sources say.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from aksci.cascade.base_policy import EdgePolicy, policy_of
from aksci.cascade.tag_versions import newest_tag
from aksci.core.errors import RegistryError
from aksci.images.bases import BaseImageError
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.published import Published
    from aksci.config.cascade_models import CascadeConfig
    from aksci.images.bases import RegistryBases
    from aksci.images.dockerfile.recipe import EdgeType
    from aksci.images.graph import Graph
    from aksci.oci.references import Reference

__all__ = ["EdgeDrift", "EdgeState", "PolicyDigests", "SourceEdge", "compare_edges", "source_edges"]

EdgeState = Literal["same", "drifted", "batched", "ignored", "waiting"]
"""``same``: as recorded. ``drifted``: another digest is meant now, and the cascade takes it.
``batched``, ``ignored``: another is meant, and the policy leaves it. ``waiting``: the parent, an
image of this project, is itself to be made again."""


@dataclass(frozen=True, kw_only=True)
class EdgeDrift:
    """One recorded edge of one image, compared with the registry now."""

    image: str
    reference: str
    """In full, as recorded."""
    type: EdgeType
    parent: str = ""
    """The image of this project that it leads to; empty: it comes from outside."""
    recorded: str
    """Digest."""
    current: str | None
    """Digest that is meant now; None while the parent is to be made again."""
    state: EdgeState
    policy: EdgePolicy = field(default_factory=EdgePolicy)
    tag: str = ""
    """The tag that the policy's range has led to, where it isn't the reference's own."""
    note: str = ""
    """What a person should know, as a sentence: that the Dockerfile pins a digest whose tag has
    moved, for example."""


class SourceEdge(NamedTuple):
    """What the sources say of one reference."""

    type: EdgeType
    parent: str = ""
    """The image of this project that it leads to; empty: it comes from outside."""


def source_edges(graph: Graph, name: str) -> dict[str, SourceEdge]:
    """Return what an image's own sources need: full reference -> its edge."""
    outside = {one.reference: SourceEdge(one.type) for one in graph.external_of[name]}
    ours = {edge.reference: SourceEdge(edge.type, edge.base) for edge in graph.edges_to[name]}
    return outside | ours


_T = TypeVar("_T")


class PolicyDigests:
    """Tell the digests that FROM means now under a policy: pinned, or of the newest tag in a range.

    Each registry is asked each thing once a run, and what failed is not tried again: hundreds of
    images may be based on one. Its methods are called from several threads.
    """

    def __init__(self, bases: RegistryBases) -> None:
        self._bases = bases
        self._lock = threading.Lock()
        self._digests: dict[str, Future[str]] = {}
        self._tags: dict[str, Future[tuple[str, ...]]] = {}
        self._newest: dict[str, Future[str | None]] = {}

    def digest(self, reference: str, policy: EdgePolicy) -> tuple[str, str]:
        """Return the digest that a reference means now, and the tag that led to it.

        The tag is empty unless the policy's range has led to another than the reference's own. A
        range that no tag is in leads to the reference's own.

        :param reference: in full.
        :raises BaseImageError: no registry has it, or one can't be asked.
        :raises ConfigError: the policy's range is none.
        """
        if policy.digest:
            return policy.digest, ""
        parsed = parse_reference(reference)
        if policy.tags and not parsed.digest:
            newest = self._newest_of(parsed, policy.tags)
            # The tag itself may be the newest: it is then asked for as it is written.
            if newest not in {None, parsed.tag}:
                return self._digest(f"{parsed.name}:{newest}"), str(newest)
        return self._digest(reference), ""

    def _digest(self, reference: str) -> str:
        return _once(self._lock, self._digests, reference, lambda: self._bases.digest(reference))

    def _newest_of(self, own: Reference, span: str) -> str | None:
        """Look through the tags once, too: there may be thousands."""

        def look() -> str | None:
            tags = _once(self._lock, self._tags, own.name, lambda: self._list(str(own)))
            return newest_tag(tags, span, like=own.tag)

        return _once(self._lock, self._newest, f"{own} {span}", look)

    def _list(self, reference: str) -> tuple[str, ...]:
        try:
            registry, repository = self._bases.where(reference)
            return tuple(registry.tags(repository))
        except RegistryError as error:
            raise BaseImageError(
                reference,
                f"The tags beside the base image {reference} can't be listed. {error.message}",
                why=error.message,
                hint=error.hint,
            ) from None


def compare_edges(
    published: Published,
    *,
    edges: Mapping[str, SourceEdge],
    graph_parents: Mapping[str, str | None],
    policy_digests: PolicyDigests,
    config: CascadeConfig,
    only: frozenset[str] | None,
    batch: bool,
) -> tuple[EdgeDrift, ...]:
    """Compare every edge that an image recorded with what it means now; sorted by reference.

    What the registry says of a tag is compared with what it said then: an index with an index.

    :param edges: what the sources say of each reference. What they do not name any more follows the
        policy that takes a change the soonest.
    :param graph_parents: each image of this project that it needs -> what it counts as now, or None
        while that is to be made again.
    :param only: full references, or names of images of this project: what else has moved outside
        is left. None: all counts.
    :param batch: take what the policy keeps for a batch.
    :raises RegistryError: a registry can't be asked, which never means "nothing moved".
    """
    if published.lineage is None:
        return ()
    comparison = _Comparison(
        published=published,
        parents=graph_parents,
        policy_digests=policy_digests,
        config=config,
        only=only,
        batch=batch,
    )
    recorded = published.lineage.parents
    return tuple(
        comparison.edge(reference, recorded[reference] or "", edges.get(reference))
        for reference in sorted(recorded)
    )


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """One image's edges."""

    published: Published
    parents: Mapping[str, str | None]
    policy_digests: PolicyDigests
    config: CascadeConfig
    only: frozenset[str] | None
    batch: bool

    def edge(self, reference: str, recorded: str, edge: SourceEdge | None) -> EdgeDrift:
        if edge is None:
            return self._unnamed(reference, recorded)
        if edge.parent:
            return self._ours(reference, recorded, edge.type, edge.parent)
        return self._outside(reference, recorded, edge.type)

    def _unnamed(self, reference: str, recorded: str) -> EdgeDrift:
        """Compare what only the record names: the sources have changed since that build."""
        lineage = self.published.lineage
        # Only the record can tell that it was ours. A lie makes more work: no image of ours counts
        # as what was recorded of another.
        parent = lineage.edges.get(reference, {}).get("image", "") if lineage else ""
        if parent:
            return self._ours(reference, recorded, "runtime", parent)
        return self._outside(reference, recorded, None)

    def _ours(self, reference: str, recorded: str, kind: EdgeType, parent: str) -> EdgeDrift:
        # What a parent counts as, which is not always its digest: one that was built again to the
        # same content moves nobody.
        current = self.parents.get(parent)
        waits = parent in self.parents and current is None
        state: EdgeState = "same" if current == recorded else "waiting" if waits else "drifted"
        return EdgeDrift(
            image=self.published.image,
            reference=reference,
            type=kind,
            parent=parent,
            recorded=recorded,
            current=current,
            state=state,
            note="" if parent in self.parents else f"It does not need the image {parent} any more.",
        )

    def _outside(self, reference: str, recorded: str, kind: EdgeType | None) -> EdgeDrift:
        policy = policy_of(self.config, reference, kind)
        if digest := parse_reference(reference).digest:
            current, tag = digest, ""  # the Dockerfile pins it; no tag can move it
        else:
            current, tag = self.policy_digests.digest(reference, policy)
        state, note = self._state(reference, policy) if current != recorded else ("same", "")
        return EdgeDrift(
            image=self.published.image,
            reference=reference,
            type=kind or "runtime",
            recorded=recorded,
            current=current,
            state=state,
            policy=policy,
            tag=tag,
            note=note or _without_newer(reference, policy, tag),
        )

    def _state(self, reference: str, policy: EdgePolicy) -> tuple[EdgeState, str]:
        """Return what becomes of an edge that leads elsewhere now, and what to say of it."""
        if policy.update == "ignore":
            return "ignored", ""
        if self.only is not None and not self.only & {reference, self.published.image}:
            return "ignored", f"Only changes of {', '.join(sorted(self.only))} count in this run."
        return ("batched" if policy.update == "batch" and not self.batch else "drifted"), ""


def _without_newer(reference: str, policy: EdgePolicy, tag: str) -> str:
    """Say so where a policy's range has led nowhere."""
    own = parse_reference(reference)
    if not policy.tags or policy.digest or own.digest or tag:
        return ""
    if newest_tag([own.tag], policy.tags, like=own.tag):
        return ""
    return (
        f"No tag of {own.name} that is like {own.tag} is in the range {policy.tags} "
        f"({policy.rule}): {own.tag} itself counts."
    )


def _once(
    lock: threading.Lock, asked: dict[str, Future[_T]], key: str, ask: Callable[[], _T]
) -> _T:
    """Ask in the first thread that comes; the others wait for its answer, or its failure."""
    with lock:
        first = key not in asked
        future = asked.setdefault(key, Future())
    # Outside of the lock: a slow registry holds up only who needs its answer.
    if first:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - whoever waits must not wait for ever
            future.set_exception(error)
    return future.result()
