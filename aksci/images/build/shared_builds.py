"""What the images of one run share that are the same build: one makes it, the others copy it."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import BuildError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.images.engines.builder import BuildOutput
from aksci.images.keys import in_tag
from aksci.images.lineage import read_lineage
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.core.reporting import Reporter
    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup

__all__ = ["SharedBuild", "SharedBuilds"]


@dataclass(frozen=True, kw_only=True)
class SharedBuild:
    """A build that is there already, by the name of another image."""

    image: str
    ref: ImageRef
    output: BuildOutput


class SharedBuilds:
    """Hold what this run has built for images that are the same build. Safe in several threads.

    A registry keeps an image's manifests, signatures and verdicts in its repository. So each image
    has its own there, with a lineage, a validation and a signature of its own; only what takes
    time, the build itself, is done once.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._made: dict[str, SharedBuild] = {}
        self._failed: dict[str, BuildError] = {}

    @contextlib.contextmanager
    def turn(self, name: str, key: str) -> Iterator[None]:
        """Wait until no other image that is the same build is being built."""
        if not self._others(name):
            yield
            return
        with self._lock:
            turn = self._turns[key]
        with turn:
            yield

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[None]:
        """Remember a failure: the others need not be tried."""
        try:
            yield
        except BuildError as error:
            self._failed[key] = error
            raise

    def add(self, name: str, key: str, output: BuildOutput) -> None:
        """Offer what was built for an image to the others that are the same build."""
        if self._others(name):
            self._made[key] = SharedBuild(image=name, ref=self._ref(name, output), output=output)

    def find(self, name: str, inputs: Inputs, key: str) -> SharedBuild | None:
        """Return what another image has of this very build: of this run, or in the registry.

        :raises BuildError: it failed in this run.
        """
        others = self._others(name)
        if not others:
            return None
        if key in self._failed:
            raise self._failed[key]
        if key in self._made:
            return self._made[key]
        for other in others:
            if found := self._lookup.find(other, inputs):
                output = BuildOutput(digest=found.digest, provenance=self._provenance(other, key))
                return SharedBuild(image=other, ref=self._ref(other, output), output=output)
        return None

    def copy(self, shared: SharedBuild, name: str, reporter: Reporter) -> None:
        """Bring a build to an image's own repository, without what belongs to the other image.

        :raises RegistryError: a registry refuses it, or it is damaged.
        """
        registry = self._lookup.registry
        repository = self._lookup.graph.images[name].spec.repository
        if repository != shared.ref.repository:
            copy_image(
                registry,
                registry,
                shared.ref,
                reporter=reporter,
                repository=repository,
                wanted=lambda _ref, _referrers: frozenset(),
            )

    def _others(self, name: str) -> tuple[str, ...]:
        return self._lookup.same_builds.get(name, ())

    def _ref(self, name: str, output: BuildOutput) -> ImageRef:
        repository = self._lookup.graph.images[name].spec.repository
        return ImageRef(self._lookup.registry.host, repository, output.digest)

    def _provenance(self, name: str, key: str) -> dict[str, object] | None:
        """Return what BuildKit said of a build that the registry has; None where nobody knows."""
        registry = self._lookup.registry
        repository = self._lookup.graph.images[name].spec.repository
        lineage = read_lineage(registry, repository, in_tag(key), input_key=key)
        if lineage is None or not lineage.provenance:
            return None
        with contextlib.suppress(*MALFORMED):
            found = parse_json(registry.blob(repository, lineage.provenance))
            return found if isinstance(found, dict) else None
        return None
