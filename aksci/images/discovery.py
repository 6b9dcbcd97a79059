"""Which images a project has: those of [images.*], and the Dockerfiles that [discover] finds."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aksci.errors import ConfigError
from aksci.images.builder import Attestations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config import Config, ImageConfig

__all__ = ["ImageSpec", "discover_images"]

_NAME = re.compile(r"[a-z0-9]([a-z0-9._/-]*[a-z0-9])?")
_IGNORED_FOLDERS = frozenset({".aksci", ".git"})


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """One thing to build."""

    name: str
    dockerfile: str
    """Relative to the project, with slashes; as is ``context``."""
    context: str
    target: str | None
    args: Mapping[str, str]
    platforms: tuple[str, ...]
    """At least one."""
    builder_platform: str
    repository: str
    """Without the registry."""
    tags: tuple[str, ...]
    requires: tuple[str, ...] = ()
    """Images of this project that it needs beyond what its Dockerfile says."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named contexts: name -> ``image:NAME``, ``docker-image://REFERENCE`` or a folder."""
    attestations: Attestations = field(default_factory=Attestations)


def discover_images(root: Path, config: Config, *, builder_platform: str) -> dict[str, ImageSpec]:
    """Return all images of a project by name, sorted.

    :param builder_platform: of images whose platforms are not configured.
    :raises ConfigError: a Dockerfile or a context does not exist, a name is wrong or taken twice,
        or there is no image.
    """
    specs = {
        name: _from_table(root, config, name, image, builder_platform)
        for name, image in config.images.items()
    }
    for name, dockerfile in _discovered(root, config).items():
        if name in specs:
            raise ConfigError(
                f"Two Dockerfiles would be the image {name!r}: {specs[name].dockerfile} and "
                f"{dockerfile}.",
                hint="give one of them a table [images.NAME] in aksci.toml.",
            )
        specs[name] = ImageSpec(
            name=name,
            dockerfile=str(dockerfile),
            context=str(dockerfile.parent),
            target=None,
            args={},
            platforms=config.build.platforms or (builder_platform,),
            builder_platform=builder_platform,
            repository=f"{config.project.name}/{name}",
            tags=("latest",),
        )
    if not specs:
        raise ConfigError(
            "There is no image to build: aksci.toml has no [images.NAME], and [discover] finds no "
            "Dockerfile.",
            hint='[discover] dockerfiles = ["**/Dockerfile"]',
        )
    attestations = Attestations(provenance=config.build.provenance, sbom=config.build.sbom)
    # As an argument it counts in the keys, and an image may have another. buildx's own is 0.
    epoch = config.build.source_date_epoch
    common = {"SOURCE_DATE_EPOCH": str(epoch)} if epoch else {}
    return {
        name: replace(spec, args={**common, **spec.args}, attestations=attestations)
        for name, spec in sorted(specs.items())
    }


def _from_table(
    root: Path, config: Config, name: str, image: ImageConfig, builder_platform: str
) -> ImageSpec:
    dockerfile = PurePosixPath(image.dockerfile)
    context = PurePosixPath(image.context) if image.context else dockerfile.parent
    where = f"{root / 'aksci.toml'}: images.{name}"
    if not (root / dockerfile).is_file():
        raise ConfigError(f"{where}.dockerfile: {dockerfile} does not exist.")
    if not (root / context).is_dir():
        raise ConfigError(f"{where}.context: the folder {context} does not exist.")
    return ImageSpec(
        name=name,
        dockerfile=str(dockerfile),
        context=str(context),
        target=image.target,
        args=dict(image.args),
        platforms=image.platforms or config.build.platforms or (builder_platform,),
        builder_platform=builder_platform,
        repository=image.repository or f"{config.project.name}/{name}",
        tags=image.tags,
    )


def _discovered(root: Path, config: Config) -> dict[str, PurePosixPath]:
    """Return the Dockerfiles that the globs find and no table names, by image name."""
    claimed = {PurePosixPath(image.dockerfile) for image in config.images.values()}
    folders: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for path in {found for glob in config.discover.dockerfiles for found in root.glob(glob)}:
        relative = PurePosixPath(path.relative_to(root).as_posix())
        ignored = not _IGNORED_FOLDERS.isdisjoint(relative.parts)
        if path.is_file() and relative.suffix != ".dockerignore" and not ignored:
            folders[relative.parent].append(relative)
    found: dict[str, PurePosixPath] = {}
    for folder, files in sorted(folders.items()):
        for file in sorted(files):
            if file in claimed:
                continue
            name = _name(config.project.name, folder, file, alone=len(files) == 1)
            if name in found:
                raise ConfigError(
                    f"Two Dockerfiles would be the image {name!r}: {found[name]} and {file}.",
                    hint="give one of them a table [images.NAME] in aksci.toml.",
                )
            found[name] = file
    return found


def _name(project: str, folder: PurePosixPath, file: PurePosixPath, *, alone: bool) -> str:
    """Name an image by its folder, and by what its file's name adds where there are several."""
    part = "" if alone else re.sub(r"^Dockerfile\.?|\.?Dockerfile$", "", file.name)
    base = project if folder == PurePosixPath() else str(folder)
    name = f"{base}-{part}".lower() if part else base.lower()
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{file}: {name!r} can't be the name of an image.",
            hint=f'[images.some-name] dockerfile = "{file}"',
        )
    return name
