"""The rows of docs/benchmarks.md about cascades: a base moves, and all that is based on it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.cases import SLOW, Case, bake
from benchmarks.figures import Goal
from benchmarks.measure import Contender, FailedError
from benchmarks.outside import Outside, layers_of
from benchmarks.repository import RUNNING, Size, write_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.peers import Peers

__all__ = ["narrow", "parts_of", "rebuilt", "require_done", "tree"]

_DEPTH = 4
_FILES = 2
"""In each image."""
_AT_ONCE = 16
"""Builds at once."""
_NARROW_DEPTH = 25
_UNGATED = (sys.executable, "-m", "benchmarks.ungated")
_OURS = "aksci cascade without gate"
_BAKE = "bake"
_PLAIN = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
"""Bake then pushes a third of the manifests only."""
_STEP, _PATH, _BOUND = "step images", "critical path", "lower bound, 16 at once"


def rebuilt(peers: Peers, images: int, *, runs: int) -> Case:
    """Build all dependents of a base again, beside the longest chain of these very builds.

    Once as a tree, whose top level may have more builds than run at once; once so narrow that no
    level does.
    """
    sizes = {"tree": tree(images), "narrow": narrow(images)}
    projects = {
        name: _project(peers, f"rebuild-{name}-{images}", size) for name, size in sizes.items()
    }

    def told(name: str) -> Callable[[], Mapping[str, float]]:
        return lambda: {
            f"{name}: {part}": seconds
            for part, seconds in parts_of(projects[name].report(), _AT_ONCE).items()
        }

    depths = " and ".join(f"{size.depth} ({name})" for name, size in sizes.items())
    return Case(
        name=f"cascade by rebuild, {images}",
        about=f"a base moves; {images} dependents, depth {depths}, a RUN each; {_AT_ONCE} at once",
        contenders=(
            *(
                project.contender(f"{name}: {_OURS}", told(name))
                for name, project in projects.items()
            ),
            projects["tree"].bake(f"tree: {_BAKE}", every=SLOW),
        ),
        goals=tuple(
            Goal(ours=f"{name}: {_STEP}", peer=f"{name}: {bound}", times=1.2)
            for name in projects
            for bound in (_PATH, _BOUND)
        ),
        runs=runs,
    )


def tree(images: int) -> Size:
    """Return the size of a tree: each level holds twice as many images as the one below it."""
    return Size(images=images, depth=min(_DEPTH, images), files=images * _FILES)


def narrow(images: int) -> Size:
    """Return a size whose levels never have more builds than run at once, up to 400 images.

    It is not deeper: a file system of overlays takes about 120 layers, and each image has two.
    """
    depth = max(1, min(_NARROW_DEPTH, images // 2))
    return Size(images=images, depth=depth, files=images * _FILES, even=True)


def parts_of(report: Mapping[str, Any], at_once: int) -> dict[str, float]:
    """Return what a cascade's report says of its step with the images, in seconds.

    No order of these builds could take less than their longest chain, nor less than all of them
    shared out among those at once. What waits its turn does not count as part of a build.
    """
    path = report["criticalPath"]["seconds"]
    total = sum(image["seconds"]["make"] for image in report["images"])
    return {_STEP: report["steps"]["images"], _PATH: path, _BOUND: max(path, total / at_once)}


def require_done(report: Mapping[str, Any], actions: Mapping[str, int], *, gate: bool) -> None:
    """Refuse a run that has done anything else than what it is measured for.

    :raises FailedError: other images were made, in another way, or the gate was there, or wasn't.
    """
    if report["actions"] != actions:
        raise FailedError(f"the cascade did {report['actions']}, not {actions}")
    if any((image["seconds"]["gate"] > 0) != gate for image in report["images"]):
        raise FailedError(f"images went {'around' if gate else 'through'} the gate")


@dataclass(frozen=True, kw_only=True)
class _Project:
    """One repository, all of whose images were built and are based on one that moves."""

    peers: Peers
    root: Path
    name: str
    images: tuple[str, ...]
    outside: Outside

    def contender(self, name: str, after: Callable[[], Mapping[str, float]]) -> Contender:
        """Return ours."""
        return Contender(
            name=name,
            argv=_UNGATED,
            folder=self.root,
            before=self.outside.move,
            after=after,
        )

    def bake(self, name: str, *, every: int = 1) -> Contender:
        """Return bake of all images, which must bring them to the new base, too."""
        return bake(
            self.peers,
            self.root,
            "warm",
            name=name,
            environment=_PLAIN,
            every=every,
            before=self.outside.move,
            after=self._require_moved,
        )

    def report(self) -> dict[str, Any]:
        """Return what the last cascade says of itself.

        :raises FailedError: it did anything else than it was to be measured for.
        """
        text = (self.root / ".aksci" / "cascade.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        require_done(found, {"rebuilt": len(self.images)}, gate=False)
        return found

    def _require_moved(self) -> Mapping[str, float]:
        version = self.outside.version()
        for image in self.images:
            repository = f"{self.name}-bake/{image}"
            if version not in layers_of(self.outside.registry, repository, "latest"):
                raise FailedError(f"{repository} is not based on the new one")
        return {}


def _project(peers: Peers, name: str, size: Size) -> _Project:
    project = f"bench-{name}"
    outside = Outside(registry=peers.client, repository=f"{project}-outside/base")
    outside.move()
    root = peers.folder / name
    images = write_repository(
        root,
        size,
        project=project,
        registry=peers.registry,
        system=outside.reference,
        recipe=RUNNING,
        at_once=_AT_ONCE,
    )
    peers.run([*_UNGATED], {}, name)
    return _Project(
        peers=peers,
        root=root,
        name=project,
        images=tuple(image.name for image in images),
        outside=outside,
    )
