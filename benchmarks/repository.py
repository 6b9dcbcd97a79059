"""Make repositories of any size, the same ones each time: for us and for the peers."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "COPYING",
    "NOXFILE",
    "RUNNING",
    "Image",
    "Size",
    "design",
    "file_content",
    "write_repository",
]

_FOLDER = 50
"""Files in one folder."""
_WORDS = 60
"""Words in one file: about 400 bytes."""
COPYING = "COPY . /{name}/\n"
RUNNING = """\
COPY . /{name}/
RUN sleep 0.3 && cat /etc/version > /{name}/built-on
"""
"""It reads the base, and waits, as for a package server, more than it computes."""
_FOR_SKAFFOLD = "Dockerfile.skaffold"
_MOMENT = "2026-01-01T00:00:00Z"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.invalid",
    "GIT_AUTHOR_DATE": _MOMENT,
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.invalid",
    "GIT_COMMITTER_DATE": _MOMENT,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a repository is."""

    images: int
    depth: int
    """Images on the longest way from one down to its bases: 1 is a flat repository."""
    files: int
    """In all contexts together, beside the Dockerfiles."""
    seed: int = 4
    even: bool = False
    """As many images on each level as on any other."""

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= self.images:
            message = f"{self.images} images can't be {self.depth} deep"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: it is based on one other of the project, or on nothing."""

    name: str
    base: str | None
    level: int
    """From 0."""
    files: int


def design(size: Size) -> tuple[Image, ...]:
    """Design the images of a repository, bases first: few on the lowest level, most on the top.

    Of an even one, the levels hold the same number.
    """
    random_ = random.Random(size.seed)  # noqa: S311 - nothing secret: the same tree each time
    levels: list[list[str]] = [[] for _ in range(size.depth)]
    names = [f"image-{number:03}" for number in range(size.images)]
    shares = [1 if size.even else 2**level for level in range(size.depth)]
    images = []
    for number, name in enumerate(names):
        level = _level(number, size.images, shares)
        base = random_.choice(levels[level - 1]) if level else None
        levels[level].append(name)
        files = size.files // size.images + (number < size.files % size.images)
        images.append(Image(name=name, base=base, level=level, files=files))
    return tuple(images)


def _level(number: int, images: int, shares: list[int]) -> int:
    """Return the level of one image: each has at least one, and its share of the others."""
    spare = images - len(shares)
    end = 0.0
    for level, share in enumerate(shares):
        end += 1 + spare * share / sum(shares)
        if number < round(end):
            return level
    return len(shares) - 1


def write_repository(
    root: Path,
    size: Size,
    *,
    project: str,
    registry: str,
    system: str = "scratch",
    recipe: str = COPYING,
    at_once: int = 2,
    database: str = "auto",
) -> tuple[Image, ...]:
    """Write a repository and commit it: ours, docker-bake.json and skaffold.yaml of one design.

    :param root: a folder that does not exist yet.
    :param registry: ``host[:port]`` that all three push to, each with repositories of its own.
    :param system: what the images on the lowest level are based on.
    :param recipe: what stands below FROM, with ``{name}`` for the image's name.
    :param at_once: how many images we build at once.
    :param database: which one the gate scans with.
    """
    images = design(size)
    root.mkdir(parents=True)
    for image in images:
        _write_image(root / image.name, image, project, size.seed, system, recipe)
    files = {
        "aksci.toml": _aksci_toml(project, registry, at_once, database),
        "noxfile.py": NOXFILE,
        "docker-bake.json": json.dumps(_bake(images, project, registry), indent=1),
        "skaffold.yaml": json.dumps(_skaffold(images, project, registry), indent=1),
        ".gitignore": ".aksci/\n__pycache__/\n",
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    _commit(root)
    return images


def file_content(image: str, number: int, seed: int) -> str:
    """Return what one file holds: some lines of words that no other file has."""
    random_ = random.Random(f"{seed}/{image}/{number}")  # noqa: S311 - as above
    words = [f"{random_.getrandbits(20):05x}" for _ in range(_WORDS)]
    return "".join(" ".join(words[at : at + 12]) + "\n" for at in range(0, _WORDS, 12))


def _write_image(
    folder: Path, image: Image, project: str, seed: int, system: str, recipe: str
) -> None:
    folder.mkdir()
    base = f"{project}/{image.base}" if image.base else system
    text = recipe.replace("{name}", image.name)
    (folder / "Dockerfile").write_text(f"FROM {base}\n{text}", encoding="utf-8")
    # Skaffold looks at the base itself before it has built it, unless only it can know its name.
    named = "ARG BASE\nFROM ${BASE}" if image.base else f"FROM {system}"
    (folder / _FOR_SKAFFOLD).write_text(f"{named}\n{text}", encoding="utf-8")
    for number in range(image.files):
        part = folder / f"part-{number // _FOLDER:02}"
        if number % _FOLDER == 0:
            part.mkdir()
        content = file_content(image.name, number, seed)
        (part / f"file-{number:04}.txt").write_text(content, encoding="utf-8")


NOXFILE = """\
from aksci.nox import register

register()
"""


def _aksci_toml(project: str, registry: str, at_once: int, database: str) -> str:
    """Return the configuration; the peers don't run the images that they have built either."""
    return f"""\
schema = 1

[project]
name = "{project}"

[discover]
dockerfiles = ["**/Dockerfile"]

[build]
validate = false
concurrency = {at_once}

[scan]
database = "{database}"
empty = "note"

[environments.runner]
registry = "{registry}"
plain_http = true
builder = "none"
namespace = "{project}"
"""


def _bake(images: tuple[Image, ...], project: str, registry: str) -> dict[str, Any]:
    """Return a bake file in which bases are targets (Docker's "Bake file reference")."""
    return {
        "group": {"default": {"targets": [image.name for image in images]}},
        "target": {image.name: _bake_target(image, project, registry) for image in images},
    }


def _bake_target(image: Image, project: str, registry: str) -> Mapping[str, Any]:
    contexts = {f"{project}/{image.base}": f"target:{image.base}"} if image.base else {}
    return {
        "context": image.name,
        "contexts": contexts,
        "tags": [f"{registry}/{project}-bake/{image.name}:latest"],
        "output": ["type=image,push=true"],
    }


def _skaffold(images: tuple[Image, ...], project: str, registry: str) -> dict[str, Any]:
    """Return skaffold.yaml (JSON is YAML); bases are required artifacts, given as an argument.

    The tag policy is the one that asks least: the others run git, or hash, for each image.
    """
    name = f"{registry}/{project}-skaffold"
    artifacts = [
        {
            "image": f"{name}/{image.name}",
            "context": image.name,
            "docker": {"dockerfile": _FOR_SKAFFOLD},
            "requires": (
                [{"image": f"{name}/{image.base}", "alias": "BASE"}] if image.base else []
            ),
        }
        for image in images
    ]
    return {
        "apiVersion": "skaffold/v4beta13",
        "kind": "Config",
        "metadata": {"name": project},
        "build": {
            "artifacts": artifacts,
            "tagPolicy": {"sha256": {}},
            "insecureRegistries": [registry],
            "local": {"push": True, "concurrency": 0},
        },
    }


def _commit(root: Path) -> None:
    git = ["git", "-C", str(root), "-c", "core.autocrlf=false", "-c", "gc.auto=0"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        # The identity and the dates are fixed: the same design is the same commit.
        subprocess.run([*git, *words], check=True, env={"PATH": _path(), **_IDENTITY})


def _path() -> str:
    import os

    return os.environ.get("PATH", os.defpath)
