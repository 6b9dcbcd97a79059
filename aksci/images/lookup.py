"""What goes into an image, whether it is built, and if not, why: the same for plans and builds."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from aksci.images.build.finished import Finished, find_finished
from aksci.images.context.hasher import TreeHasher
from aksci.images.inputs import Inputs, inputs_of
from aksci.images.keys import trees_of
from aksci.images.reasons import find_reasons
from aksci.images.same_builds import find_same_builds
from aksci.images.schedule import QueueOutcome, Unfinished, run_ready
from aksci.images.selection import require_forced
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.core.errors import AksciError
    from aksci.images.bases import BaseResolver
    from aksci.images.build.build_record import Failure
    from aksci.images.graph import Graph
    from aksci.images.reasons import Reason
    from aksci.oci.registry import Registry

__all__ = ["Lookup"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One look at a graph and its registry. Its methods are called from several threads."""

    graph: Graph
    registry: Registry
    bases: BaseResolver
    """Tells what FROM means now."""
    force: frozenset[str] = frozenset()
    """Images to build in any case."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """Of the last runs."""
    trusted: Callable[[ImageRef, str], bool] | None = None
    """Tells whether a finished build of an input key is trusted: whoever may push can set its tag.
    None: all are."""
    known: Path | None = None
    """The file that keeps what earlier runs have read of the sources; None: nothing does."""
    hasher: TreeHasher = field(init=False)
    same_builds: Mapping[str, tuple[str, ...]] = field(init=False)
    """Name of each image that is the same build as others -> their names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hasher", TreeHasher(self.graph.root, self.known))
        object.__setattr__(self, "same_builds", find_same_builds(self.graph))

    def run(
        self,
        work: Callable[[str, Mapping[str, T]], T | Unfinished[T]],
        *,
        selected: frozenset[str] | None,
        workers: int,
        stop: Callable[[], None],
        checks: int = 4,
        same: Callable[[T, T], bool] = operator.eq,
        block: Callable[[str, str, AksciError], None] | None = None,
    ) -> QueueOutcome[T]:
        """Do the work of each image, parents before children, as ``run_ready`` does.

        :param selected: the images to look at, with all that they need; None: all.
        :raises ConfigError: an image to build in any case does not exist, or is not selected.
        """
        selected = frozenset(self.graph.images) if selected is None else selected
        require_forced(self.graph, self.force, selected)
        parents = {name: self.graph.parents[name] for name in self.graph.order if name in selected}
        try:
            # While no other thread runs yet.
            self.hasher.prepare(trees_of(self.graph, parents))
            return run_ready(
                parents, work, workers=workers, stop=stop, checks=checks, same=same, block=block
            )
        finally:
            self.hasher.save()

    def inputs(
        self,
        name: str,
        *,
        built: Mapping[str, str | None],
        identities: Mapping[str, str],
        bases: BaseResolver | None = None,
    ) -> Inputs:
        """Collect an image's inputs; the parameters are those of ``inputs_of``.

        :param bases: None: what tells them for a plan or a build of this image.
        """
        return inputs_of(
            self.graph,
            name,
            hasher=self.hasher,
            registry_host=self.registry.host,
            built=built,
            identities=identities,
            bases=bases or self.bases.for_image(name),
        )

    def forced(self, name: str) -> bool:
        """Tell whether an image is built in any case, or another one that is the same build."""
        if not self.force:
            return False
        return name in self.force or not self.force.isdisjoint(self.same_builds.get(name, ()))

    def find(self, name: str, inputs: Inputs) -> Finished | None:
        """Return the finished image that can be used as it is, or None."""
        key = inputs.key
        # An opaque image has a key, but nobody knows what else it is made of
        # (docs/adr/0004-opaque-images-and-platforms.md).
        if self.forced(name) or key is None or not inputs.reusable:
            return None
        found = self.finished(name, key)
        return found if found and self.trusts(name, key, found) else None

    def trusts(self, name: str, key: str, found: Finished) -> bool:
        """Tell whether what the registry has is trusted, or nobody asks for that."""
        if self.trusted is None:
            return True
        repository = self.graph.images[name].spec.repository
        return self.trusted(ImageRef(self.registry.host, repository, found.digest), key)

    def finished(self, name: str, key: str) -> Finished | None:
        """Return what the registry has for an input key, or None."""
        spec = self.graph.images[name].spec
        attested = bool(spec.attestations.words)
        return find_finished(self.registry, spec.repository, key, attested=attested)

    def reasons(self, name: str, inputs: Inputs) -> tuple[Reason, ...]:
        """Say why an image is to be built."""
        if self.forced(name):
            return ({"code": "FORCED"},)
        key = inputs.key
        if self.trusted is not None and key and inputs.reusable:
            found = self.finished(name, key)
            if found is not None:  # and yet it is to be built
                return ({"code": "UNSIGNED", "digest": found.digest},)
        return find_reasons(
            self.registry, self.graph, name, inputs, hasher=self.hasher, failures=self.failures
        )
