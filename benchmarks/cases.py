"""Comparisons: one function for each row of docs/benchmarks.md that is about images."""

from __future__ import annotations

import shutil
import sys
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.figures import Goal
from benchmarks.measure import Contender
from benchmarks.repository import NOXFILE, Size, write_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.peers import Peers

__all__ = [
    "FULL",
    "QUICK",
    "SLOW",
    "Case",
    "Sizes",
    "bake",
    "evidence",
    "fresh",
    "import_alone",
    "leaf",
    "nox_list",
    "plan",
    "warm",
]

_TO_BUILD = ("build", "--until", "build")
_SMALL = 25
"""Rounds of a case that takes milliseconds: a single run means nothing."""
SLOW = 4
"""A contender that takes many seconds runs only in each fourth round."""
_SYSTEM = "debian:bookworm-slim"
_OURS = "aksci build --until build"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: contenders, goals between them, and what it is about."""

    name: str
    about: str
    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...]
    runs: int
    memory: dict[str, float] = field(default_factory=dict)
    """Contender -> the peak that it must stay under, in MB."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    name: str
    runs: int
    slow_runs: int
    """Of what takes a peer many seconds."""
    building: Size
    planning: Size
    dependents: tuple[int, ...]
    """Of a base that moves: a case for each number."""
    cascades: int
    """Runs of them."""
    whole: tuple[int, ...]
    """Images that go through the whole job: a case for each number."""


QUICK = Sizes(
    name="quick",
    runs=3,
    slow_runs=1,
    building=Size(images=10, depth=3, files=200),
    planning=Size(images=50, depth=4, files=5_000),
    dependents=(10,),
    cascades=1,
    whole=(10,),
)
FULL = Sizes(
    name="full",
    runs=10,
    slow_runs=3,
    building=Size(images=100, depth=4, files=2_000),
    planning=Size(images=500, depth=6, files=200_000),
    dependents=(10, 100, 300),
    cascades=5,
    whole=(100,),
)


def warm(peers: Peers, sizes: Sizes) -> Case:
    """Build where nothing has changed since the last time, on the machine that did it then."""
    root = _built(peers, "building", sizes.building)
    by_nox = "nox -s build -- --until build"
    words = (peers.nox, "-s", "build", "--", "--until", "build")
    return Case(
        name="unchanged, warm",
        about=f"{sizes.building.images} images, nothing changed, warm laptop",
        contenders=(
            _aksci(peers, root),
            Contender(name=by_nox, argv=words, folder=root),
            Contender(name="aksci build", argv=(*peers.ours, "build"), folder=root, every=SLOW),
            bake(peers, root, "warm", every=SLOW),
            _skaffold(peers, root),
        ),
        goals=(
            Goal(ours=_OURS, peer="bake", times=1 / 25),
            Goal(ours=_OURS, peer="skaffold", times=1.3),
            Goal(ours=by_nox, peer=_OURS, plus=0.2),
        ),
        runs=sizes.runs,
    )


def fresh(peers: Peers, sizes: Sizes) -> Case:
    """Build what is in the registry already, on a machine that knows nothing of it."""
    root = _built(peers, "building", sizes.building)
    clone, state = (peers.folder / name for name in ("clone", "state"))

    def forget() -> None:
        for folder in (clone, state):
            shutil.rmtree(folder, ignore_errors=True)
        peers.run(["git", "clone", "-q", f"file://{root}", clone], {})

    ours = Contender(
        name=_OURS,
        argv=(*peers.ours, *_TO_BUILD, "--env", "runner"),
        folder=clone,
        environment={"XDG_STATE_HOME": str(state)},
        before=forget,
    )
    return Case(
        name="unchanged, fresh runner",
        about=f"{sizes.building.images} images, all in the registry, no local state",
        contenders=(
            ours,
            bake(peers, root, "fresh", before=peers.fresh_buildkit),
            _skaffold(peers, root, before=peers.fresh_engine),
        ),
        goals=(
            Goal(ours=_OURS, peer="bake", times=1 / 10),
            Goal(ours=_OURS, peer="skaffold", times=1 / 10),
        ),
        runs=sizes.slow_runs,
    )


def plan(peers: Peers, sizes: Sizes) -> Case:
    """Plan many images with many files, beside git's own look at the same tree."""
    size = sizes.planning
    root = _built(peers, "planning", size)
    ours = Contender(name="aksci plan", argv=(*peers.ours, "plan", "--format", "json"), folder=root)
    return Case(
        name="plan",
        about=f"plan of {size.images} images, {size.files} files, depth {size.depth}",
        contenders=(
            ours,
            Contender(name="git status", argv=("git", "status", "--porcelain"), folder=root),
        ),
        goals=(Goal(ours="aksci plan", peer="git status", times=3),),
        runs=sizes.runs,
        memory={"aksci plan": 150.0},
    )


def leaf(peers: Peers, sizes: Sizes) -> Case:
    """Change one file of one image on the top level, and build."""
    root = _built(peers, "building", sizes.building)
    name = f"image-{sizes.building.images - 1:03}"
    file = root / name / "part-00" / "file-0000.txt"

    def change() -> None:
        file.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")

    return Case(
        name="one leaf changed",
        about=f"one leaf of {sizes.building.images} images changed",
        contenders=(
            _aksci(peers, root, before=change),
            bake(peers, root, "warm", target=name, before=change),
        ),
        goals=(Goal(ours=_OURS, peer="bake", plus=0.5),),
        runs=sizes.runs,
    )


def evidence(peers: Peers, sizes: Sizes) -> Case:
    """Judge and verify images that were scanned and signed, beside scanning them again.

    Nothing covers the stored verdicts but the signatures, which are all verified. The images
    are based on Debian, so that there is something to scan.
    """
    root = _built(peers, "systems", sizes.building, system=_SYSTEM)
    peers.run([*peers.ours, "-C", root, "build"], {})
    ours = Contender(
        name="aksci scan",
        argv=(*peers.ours, "scan"),
        folder=root,
        before=lambda: (root / ".aksci" / "verdicts.json").unlink(missing_ok=True),
    )
    return Case(
        name="scanned and signed",
        about=f"cached scan and verification of {sizes.building.images} digests",
        contenders=(
            ours,
            Contender(
                name="trivy, again",
                argv=peers.trivy_script(root / ".aksci" / "build.json"),
                folder=peers.folder,
                every=SLOW,
            ),
        ),
        goals=(Goal(ours="aksci scan", peer="trivy, again", times=1 / 20),),
        runs=sizes.runs,
    )


def import_alone(peers: Peers, sizes: Sizes) -> Case:
    """Import the package and nothing of it, beside a Python that imports nothing."""
    texts = {"import aksci": "import aksci", "pass": "pass"}
    return Case(
        name="import",
        about="a Python that imports aksci, and one that does not",
        contenders=tuple(
            # -P: the folder that the benchmark runs in is not where it comes from.
            Contender(name=name, argv=(sys.executable, "-P", "-c", text), folder=peers.folder)
            for name, text in texts.items()
        ),
        goals=(Goal(ours="import aksci", peer="pass", plus=0.01),),
        runs=max(sizes.runs, _SMALL),
    )


def nox_list(peers: Peers, sizes: Sizes) -> Case:
    """List the sessions, beside a noxfile that has none but one (nox fails without any)."""
    folders = {name: peers.folder / name for name in ("registered", "empty")}
    texts = (NOXFILE, "import nox\n\n\n@nox.session\ndef nothing(session):\n    pass\n")
    for folder, text in zip(folders.values(), texts, strict=True):
        folder.mkdir()
        (folder / "noxfile.py").write_text(text, encoding="utf-8")
    return Case(
        name="nox -l",
        about="list the sessions",
        contenders=tuple(
            Contender(name=f"nox -l, {name}", argv=(peers.nox, "-l"), folder=folder)
            for name, folder in folders.items()
        ),
        goals=(Goal(ours="nox -l, registered", peer="nox -l, empty", plus=0.1),),
        runs=max(sizes.runs, _SMALL),
    )


def _built(peers: Peers, name: str, size: Size, *, system: str = "scratch") -> Path:
    """Return a repository all of whose images are in the registry; made when first asked for."""
    root = peers.folder / name
    if not root.exists():
        project = f"bench-{name}-{size.images}"
        write_repository(root, size, project=project, registry=peers.registry, system=system)
        peers.run([*peers.ours, "-C", root, *_TO_BUILD], {})
    return root


def _aksci(peers: Peers, root: Path, *, before: Callable[[], None] = lambda: None) -> Contender:
    return Contender(name=_OURS, argv=(*peers.ours, *_TO_BUILD), folder=root, before=before)


def bake(
    peers: Peers,
    root: Path,
    builder: str,
    *,
    name: str = "bake",
    target: str = "default",
    environment: Mapping[str, str] | None = None,
    every: int = 1,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], Mapping[str, float]] = dict,
) -> Contender:
    """Return bake over a repository, or over one target of it."""
    return Contender(
        name=name,
        argv=(peers.buildx, "bake", "--builder", builder, "--progress", "plain", target),
        folder=root,
        environment={**peers.bake_environment(), **(environment or {})},
        every=every,
        before=before,
        after=after,
    )


def _skaffold(peers: Peers, root: Path, *, before: Callable[[], None] = lambda: None) -> Contender:
    return Contender(
        name="skaffold",
        argv=(peers.skaffold, "build", "--quiet", "--detect-minikube=false"),
        folder=root,
        environment=peers.skaffold_environment(),
        before=before,
    )
