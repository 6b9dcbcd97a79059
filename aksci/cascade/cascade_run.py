"""Make again what is based on what moved: each image once its parents are done and gated.

Where one fails, ``withheld`` names the images whose tags then stay (``cascade.together``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aksci.images.build.build_record import Base, BuiltImage
from aksci.images.build.build_run import ImageDone
from aksci.images.schedule import admitted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aksci.cascade.cascade_plan import Choice, Chooser
    from aksci.images.build.build_run import Run
    from aksci.images.schedule import QueueOutcome, Unfinished

__all__ = ["CascadeRun", "ImageGate", "withheld"]


class ImageGate(Protocol):
    """What an image must pass before anything is built on it. Called from several threads."""

    def admit(self, image: BuiltImage) -> None:
        """Scan and sign an image.

        :raises GateError: the scan gate refuses it.
        :raises TrustError: it could not be signed.
        """


@dataclass(kw_only=True)
class CascadeRun:
    """One cascade over a graph. ``image`` is called from several threads."""

    run: Run
    chooser: Chooser
    gate: ImageGate | None = None
    choices: dict[str, Choice] = field(default_factory=dict)
    """By image, as they are taken."""
    made: dict[str, BuiltImage] = field(default_factory=dict)
    """Images that are made, whether they pass the gate or not."""
    gated: dict[str, float] = field(default_factory=dict)
    """Seconds in the gate."""

    def work(self) -> QueueOutcome[ImageDone]:
        """Do all of it."""
        return self.run.over(self.image, selected=None)

    def image(
        self, name: str, parents: Mapping[str, ImageDone]
    ) -> ImageDone | Unfinished[ImageDone]:
        """Keep one image, or make it and take it through the gate once it counts."""
        identities = {parent: one.identity for parent, one in parents.items()}
        choice = self.choices[name] = self.chooser.choose(name, identities)
        if choice.kept:
            return self._kept(choice)
        made = self.run.make(name, parents, bases=choice.bases, reasons=choice.reasons)
        # What moved was not scanned yet: it must not run code of its own in another image's build.
        return admitted(made, self._admit, ahead=self.gate is None)

    def _admit(self, done: ImageDone) -> None:
        name = done.image.name
        # Before the gate: what it refuses was made all the same, and the report tells of it.
        self.made[name] = done.image
        if self.gate:
            started = time.monotonic()
            try:
                self.gate.admit(done.image)
            finally:
                self.gated[name] = time.monotonic() - started

    def _kept(self, choice: Choice) -> ImageDone:
        published = choice.published
        lineage = published.lineage if published else None
        if published is None or lineage is None:  # pragma: no cover - those are made again
            raise AssertionError(choice.image)
        bases = tuple(
            Base(
                reference=edge.reference,
                digest=edge.recorded,
                type=edge.type,
                image=edge.parent,
            )
            for edge in choice.edges
        )
        image = BuiltImage(
            name=choice.image,
            ref=published.ref,
            input_key=lineage.input_key,
            tags=self.run.lookup.graph.images[choice.image].spec.tags,
            action="kept",
            reasons=(),
            seconds=0.0,
            bases=bases,
        )
        self.run.keys[choice.image] = lineage.input_key
        return ImageDone(image=image, identity=published.identity)


def withheld(parents: Mapping[str, Collection[str]], failed: Collection[str]) -> frozenset[str]:
    """Return all images of the groups in which one has failed."""
    groups = [group for group in _groups(parents) if not group.isdisjoint(failed)]
    return frozenset().union(*groups)


def _groups(parents: Mapping[str, Collection[str]]) -> tuple[frozenset[str], ...]:
    """Return the connected components of a graph, by their first names."""
    neighbours: dict[str, set[str]] = {name: set() for name in parents}
    for name, needed in parents.items():
        for parent in needed:
            neighbours[name].add(parent)
            neighbours[parent].add(name)
    seen: set[str] = set()
    found = []
    for name in sorted(neighbours):
        if name in seen:
            continue
        group, waiting = {name}, [name]
        while waiting:
            fresh = neighbours[waiting.pop()] - group
            group |= fresh
            waiting += fresh
        seen |= group
        found.append(frozenset(group))
    return tuple(found)
