"""Put together what tables, other tools' files and globs say of a project's images."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.spelling import did_you_mean
from aksci.images.discovery.globs import Exclude, find_files
from aksci.images.discovery.importers.imported import Imported
from aksci.oci.references import is_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from aksci.config.models import Config, ImageConfig
    from aksci.images.discovery.importers.imported import Importer

__all__ = ["find_candidates"]


def find_candidates(root: Path, config: Config, importer: Importer) -> dict[str, Imported]:
    """Return what is said of each image, by name, of the first source that has it.

    A table [images.NAME] changes what another source says of the image NAME. Sources agree where
    Dockerfile, context, target and arguments are the same.

    :raises ConfigError: a file of [discover] is missing or wrong, or two images have one name.
    """
    exclude = Exclude(config.discover.exclude)
    imported = _unite(_read_sources(root, config, importer), exclude)
    globbed = _of_globs(root, config, importer, exclude)
    candidates = {}
    for name, table in config.images.items():
        # A table that names its Dockerfile needs none that a glob has found under its name.
        found = None if table.dockerfile else globbed.get(name)
        candidates[name] = _with_table(name, table, imported.get(name) or found, imported)
    tables = {one.identity: name for name, one in candidates.items()}
    for name, one in imported.items():
        if name in candidates:
            continue
        same = tables.get(one.identity)
        if same is None:
            candidates[name] = one
        else:
            candidates[same] = _also(candidates[same], one)
    _add_globbed(candidates, globbed)
    return candidates


def _unite(sources: Iterable[list[Imported]], exclude: Exclude) -> dict[str, Imported]:
    """Return the images of all sources by name; those that several have, once."""
    known: dict[str, Imported] = {}
    for source in sources:
        earlier = {one.identity: one.name for one in known.values()}
        called: dict[tuple[object, ...], str] = {}
        for one in source:
            if one.inline is None and exclude.excludes(one.dockerfile):
                continue
            # One file may give one image two names; then they have a reference in common.
            same = earlier.get(one.identity) or called.get((one.identity, one.references))
            if same is not None:
                known[same] = _also(known[same], one)
                continue
            if one.name in known:
                raise ConfigError(
                    f"Two images would be called {one.name!r}: {known[one.name].where} and "
                    f"{one.where}.",
                    hint="name only one of the files in [discover], or exclude one Dockerfile; "
                    "Compose projects of one folder are told apart by a name: in each file.",
                )
            known[one.name] = one
            if one.references:
                called[one.identity, one.references] = one.name
    return known


def _also(kept: Imported, other: Imported) -> Imported:
    """Return an image that is known by another one's names, too."""
    names = (*kept.aliases, *other.references, *other.aliases)
    return replace(kept, aliases=tuple(dict.fromkeys(names)))


def _with_table(
    name: str, table: ImageConfig, base: Imported | None, imported: Mapping[str, Imported]
) -> Imported:
    """Return what a table says, over what another source says of the same image."""
    where = f"aksci.toml: images.{name}"
    if table.dockerfile is None and base is None:
        raise ConfigError(
            f"{where}.dockerfile: this key is required, as nothing that [discover] reads has an "
            f"image {name!r}.{did_you_mean(name, imported)}"
        )
    if base is None:
        context = _folder(table.dockerfile or "")
        base = Imported(name=name, where=where, dockerfile="", context=context)
    given = table.model_fields_set
    merged = replace(
        base,
        name=name,
        where=where,
        dockerfile=table.dockerfile or base.dockerfile,
        inline=None if table.dockerfile else base.inline,
        context=table.context or base.context,
        target=table.target if "target" in given else base.target,
        args={**base.args, **table.args},
        unknown={key: why for key, why in base.unknown.items() if key not in table.args},
        platforms=table.platforms or base.platforms,
        repository=table.repository,
        tags=table.tags if "tags" in given else None,
        contexts={**base.contexts, **table.contexts},
    )
    if "requires" not in given:
        kept = {arg: one for arg, one in base.base_args.items() if arg not in table.args}
        return replace(merged, base_args=kept)
    if isinstance(table.requires, dict):
        return replace(
            merged, requires=tuple(table.requires.values()), base_args=dict(table.requires)
        )
    return replace(merged, requires=table.requires, base_args={})


def _folder(dockerfile: str) -> str:
    return dockerfile.rpartition("/")[0] or "."


def _of_globs(
    root: Path, config: Config, importer: Importer, exclude: Exclude
) -> dict[str, Imported]:
    """Return the Dockerfiles that the globs find, by image name.

    Where several would have one name, the others are its aliases: a table may claim all but one.
    """
    matches = find_files(root, config.discover.dockerfiles, exclude)
    for glob, files in matches.items():
        if not files:
            importer.warn(f"aksci.toml: discover.dockerfiles: {glob!r} finds nothing")
    folders: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for file in set[PurePosixPath]().union(*matches.values()):
        if file.suffix != ".dockerignore":
            folders[file.parent].append(file)
    found: dict[str, Imported] = {}
    for folder, its in sorted(folders.items()):
        for file in sorted(its):
            name = _name(config.project.name, folder, file, alone=len(its) == 1)
            path = str(file)
            if name in found:
                found[name] = replace(found[name], aliases=(*found[name].aliases, path))
            else:
                found[name] = _plain(name, path)
    return found


_KIND = re.compile(r"^(?:Docker|Container)file|(?:Docker|Container)file$", re.IGNORECASE)


def _plain(name: str, dockerfile: str) -> Imported:
    return Imported(name=name, where=dockerfile, dockerfile=dockerfile, context=_folder(dockerfile))


def _name(project: str, folder: PurePosixPath, file: PurePosixPath, *, alone: bool) -> str:
    """Name an image by its folder, and by what its file's name adds where there are several."""
    part = "" if alone else _KIND.sub("", file.name).strip("._-")
    # No part of a repository's name begins or ends so: .devcontainer is the image devcontainer.
    base = "/".join(word.strip("._-") or word for word in folder.parts) or project
    return f"{base}-{part}".lower() if part else base.lower()


def _add_globbed(candidates: dict[str, Imported], globbed: Mapping[str, Imported]) -> None:
    """Add the Dockerfiles that globs found and nothing else names.

    :raises ConfigError: names of all that can't be images, or would be two, at once.
    """
    claimed = {one.dockerfile for one in candidates.values() if one.inline is None}
    taken: list[str] = []
    impossible: dict[str, str] = {}
    for name, one in globbed.items():
        for file in (one.dockerfile, *one.aliases):
            # Only what nothing above has taken, though a glob finds it, too.
            if file in claimed:
                continue
            if name in candidates:
                first = candidates[name].dockerfile
                taken.append(f"Two Dockerfiles would be the image {name!r}: {first} and {file}.")
            elif not is_repository(name):
                impossible[file] = f"{file}: {name!r} can't be the name of an image."
            else:
                candidates[name] = _plain(name, file)
    if taken or impossible:
        raise _wrong_names(taken, impossible)


def _wrong_names(taken: list[str], impossible: Mapping[str, str]) -> ConfigError:
    hints = []
    if taken:
        hints.append("give one of them a table [images.NAME] in aksci.toml.")
    if impossible:
        example = next(iter(impossible))
        listed = ", ".join(f'"{file}"' for file in impossible)
        hints.append(
            f'[images.some-name] dockerfile = "{example}" names one; '
            f"[discover] exclude = [{listed}]."
        )
    messages = [*taken, *impossible.values()]
    if len(messages) > 1:
        messages.insert(0, f"{len(messages)} Dockerfiles have no name as images:")
    return ConfigError("\n".join(messages), hint="\n      ".join(hints))


def _read_sources(root: Path, config: Config, importer: Importer) -> list[list[Imported]]:
    """Return the images of each source that [discover] names: Bake's, Compose's, Skaffold's.

    :raises ConfigError: a file is missing or wrong.
    """
    found: list[list[Imported]] = []
    discover = config.discover
    if discover.bake:
        from aksci.images.discovery.importers.bake import read_bake

        found.append(read_bake(root, discover.bake, discover.bake_targets, importer))
    if discover.compose:
        from aksci.images.discovery.importers.compose import read_compose

        said = not isinstance(discover.compose[0], str)
        taken: set[str] = set()
        for files in discover.compose_projects:
            images = read_compose(root, files, importer, taken=taken, said=said)
            taken |= {one.name for one in images}
            found.append(images)
    if discover.skaffold:
        from aksci.images.discovery.importers.skaffold import read_skaffold

        found.append(read_skaffold(root, discover.skaffold, importer))
    return found
