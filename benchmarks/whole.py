"""The whole job up to publish: ``aksci build`` beside the script that a team writes today.

Ours decides what changed, builds that, scans, signs, moves the stable tags and makes a signed
release. The script's images are the same, and so is Trivy's database.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aksci.supply.sign.notation.local_certificate import ensure_test_key
from benchmarks.cascades import require_done, tree
from benchmarks.cases import Case
from benchmarks.figures import Goal
from benchmarks.measure import Contender, FailedError
from benchmarks.outside import Outside, layers_of
from benchmarks.repository import write_repository
from benchmarks.team_script import TeamScript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.peers import Peers

__all__ = ["base", "leaf", "nothing", "phases_of", "require_actions"]

_OURS = "aksci build --until push"
_CASCADE = "aksci cascade"
_SCRIPT = "bake + trivy + notation"
_RECORDS = {"build": "build.json", "scan": "verdicts.json", "sign and push": "release.json"}
"""What each phase writes last, below ``.aksci``."""
_PLAIN = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
"""Bake then pushes a third of the manifests only."""
_AT_ONCE = 4
"""Builds of ours at once: the script's programs are four, too."""
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid")


def nothing(peers: Peers, images: int, *, runs: int) -> Case:
    """Take all images through the job again, none of which changed."""
    project = _project(peers, images)
    return Case(
        name=f"whole job, nothing of {images} changed",
        about=f"{images} images, nothing changed: build, scan, sign, publish",
        contenders=(project.ours({"reused": images}), project.script()),
        goals=(
            Goal(ours=_OURS, peer=_SCRIPT, times=1 / 25),
            Goal(ours=_OURS, peer=_SCRIPT, times=0, plus=3),
        ),
        runs=runs,
    )


def leaf(peers: Peers, images: int, *, runs: int) -> Case:
    """Take them through the job after one file of one of them was changed and committed."""
    project = _project(peers, images)
    actions = {"built": 1, "reused": images - 1}
    return Case(
        name=f"whole job, one leaf of {images} changed",
        about=f"{images} images, one leaf changed: build, scan, sign, publish",
        contenders=(
            project.ours(actions, before=project.change_leaf),
            project.script(before=project.change_leaf),
        ),
        goals=(Goal(ours=_OURS, peer=_SCRIPT, times=1 / 10),),
        runs=runs,
    )


def base(peers: Peers, images: int, *, runs: int) -> Case:
    """Take them through the job after the image that all are based on moved."""
    project = _project(peers, images)
    move = project.outside.move
    return Case(
        name=f"whole job, a base of {images} moved",
        about=f"a base moves; {images} images are built again, scanned, signed and published",
        contenders=(
            project.ours({"built": images}, before=move),
            project.cascade(before=move),
            project.script(before=move, moved=True),
        ),
        goals=tuple(Goal(ours=ours, peer=_SCRIPT, times=1 / 5) for ours in (_OURS, _CASCADE)),
        runs=runs,
    )


def phases_of(began: float, ended: float, written: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of a build's phases, from when each wrote its record.

    Python's start is part of the first, and what follows the last record is part of the last.

    :param written: phase -> when, in order.
    :raises FailedError: a record is not of this run.
    """
    found, before = {}, began
    for number, (phase, when) in enumerate(written.items(), 1):
        if not began <= when <= ended or when < before:
            raise FailedError(f"the phase {phase!r} wrote nothing in this run")
        end = ended if number == len(written) else when
        found[phase] = end - before
        before = end
    return found


def require_actions(record: Mapping[str, Any], actions: Mapping[str, int]) -> None:
    """Refuse a build that has done anything else than what it is measured for.

    :raises FailedError: it built more or fewer images.
    """
    done: dict[str, int] = {}
    for image in record["images"].values():
        done[image["action"]] = done.get(image["action"], 0) + 1
    if done != actions:
        raise FailedError(f"the build did {done}, not {actions}")


@dataclass(frozen=True, kw_only=True)
class _Project:
    """One repository that went through the job once, by either way."""

    peers: Peers
    root: Path
    name: str
    images: tuple[str, ...]
    outside: Outside
    team: TeamScript

    def ours(
        self, actions: Mapping[str, int], *, before: Callable[[], None] = lambda: None
    ) -> Contender:
        """Return ours: one command."""
        began = [0.0]

        def start() -> None:
            before()
            began[0] = time.time()

        def look() -> Mapping[str, float]:
            ended = time.time()
            state = self.root / ".aksci"
            record = json.loads((state / "build.json").read_text(encoding="utf-8"))
            require_actions(record, actions)
            written = {
                phase: (state / file).stat().st_mtime_ns / 1e9 for phase, file in _RECORDS.items()
            }
            # A file system's clock is behind by as much as a tick of the kernel's.
            spent = phases_of(began[0] - 0.01, ended, written)
            return {f"ours: {phase}": seconds for phase, seconds in spent.items()}

        argv = (*self.peers.ours, "build", "--until", "push")
        return Contender(name=_OURS, argv=argv, folder=self.root, before=start, after=look)

    def cascade(self, *, before: Callable[[], None]) -> Contender:
        """Return the cascade, whose gate scans and signs each image as soon as it is built."""

        def look() -> Mapping[str, float]:
            text = (self.root / ".aksci" / "cascade.json").read_text(encoding="utf-8")
            report = json.loads(text)
            require_done(report, {"rebuilt": len(self.images)}, gate=True)
            return {f"cascade: {step}": seconds for step, seconds in report["steps"].items()}

        argv = (*self.peers.ours, "cascade")
        return Contender(name=_CASCADE, argv=argv, folder=self.root, before=before, after=look)

    def script(
        self, *, before: Callable[[], None] = lambda: None, moved: bool = False
    ) -> Contender:
        """Return the script.

        :param moved: its images must have the base's new version.
        """

        def look() -> Mapping[str, float]:
            if moved:
                self._require_moved()
            spent = self.team.phases(self.images)
            return {f"script: {phase}": seconds for phase, seconds in spent.items()}

        return Contender(
            name=_SCRIPT,
            argv=self.team.write(),
            folder=self.root,
            environment=self.environment(),
            before=before,
            after=look,
        )

    def environment(self) -> dict[str, str]:
        """Return what gives the script's programs builders and a key of ours."""
        home = {"XDG_CONFIG_HOME": str(self.peers.folder / "config")}
        return {**self.peers.bake_environment(), **_PLAIN, **home}

    def change_leaf(self) -> None:
        """Change one file of an image that no other is based on, and commit it."""
        file = self.root / self.images[-1] / "part-00" / "file-0000.txt"
        file.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")
        self.peers.run([*_GIT, "commit", "-qam", "Change"], {}, str(self.root))

    def _require_moved(self) -> None:
        version = self.outside.version()
        for image in self.images:
            repository = f"{self.name}-bake/{image}"
            if version not in layers_of(self.outside.registry, repository, "latest"):
                raise FailedError(f"{repository} is not based on the new one")


def _project(peers: Peers, images: int) -> _Project:
    """Return the repository of a size, as it is after the job; made when first asked for."""
    name = f"bench-whole-{images}"
    root = peers.folder / name
    outside = Outside(registry=peers.client, repository=f"{name}-outside/base")
    team = TeamScript(
        buildx=peers.buildx,
        trivy=peers.trivy,
        notation=peers.notation,
        builder="warm",
        source=root,
        work=peers.folder / f"{name}-script",
        caches=peers.folder / "trivy-slots",
    )
    size = tree(images)
    if not root.exists():
        outside.move()
        write_repository(
            root,
            size,
            project=name,
            registry=peers.registry,
            system=outside.reference,
            at_once=_AT_ONCE,
            database="small",
        )
    project = _Project(
        peers=peers,
        root=root,
        name=name,
        images=tuple(f"image-{number:03}" for number in range(images)),
        outside=outside,
        team=team,
    )
    _make_key(peers)
    if not team.work.exists():
        peers.run([*peers.ours, "build", "--until", "push"], {}, name)
        _warm(project)
    return project


def _warm(project: _Project) -> None:
    """Fill all four caches of Trivy with all images: whichever of them scans one, knows it."""
    peers, team = project.peers, project.team
    for slot in team.slots():
        peers.make_database(slot / "db")
    peers.run([*team.write()], project.environment(), project.root.name)
    images = (team.work / "images").read_text(encoding="utf-8").split()
    for slot in team.slots():
        for image in images:
            words: list[str | Path] = [*team.scan, "--cache-dir", slot]
            peers.run([*words, "--output", team.work / "warm.json", image], {})


def _make_key(peers: Peers) -> None:
    """Give notation a key in a file, its quickest kind."""
    folder = peers.folder / "config" / "notation"
    pair = ensure_test_key(folder / "key", now=datetime.now(UTC))
    files = {"keyPath": str(pair.key), "certPath": str(pair.certificate)}
    keys = {"default": "bench", "keys": [{"name": "bench", **files}]}
    (folder / "signingkeys.json").write_text(json.dumps(keys), encoding="utf-8")
