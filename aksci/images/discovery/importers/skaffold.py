"""Images of skaffold.yaml: each artifact that a Dockerfile builds.

Skaffold's reference of skaffold.yaml ("build.artifacts"), "Environment file" (skaffold.env).
Profiles are not applied.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.core.text import short_line
from aksci.images.discovery.importers.imported import (
    Imported,
    NotOursError,
    image_name,
    locate,
    text,
)
from aksci.images.discovery.importers.interpolation import read_env_file
from aksci.images.discovery.importers.yaml_documents import read_documents
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from aksci.images.discovery.importers.imported import Importer

__all__ = ["read_skaffold"]

_OTHER_BUILDERS = ("bazel", "buildpacks", "custom", "jib", "jibGradle", "jibMaven", "ko")
_UNUSED = ("addHost", "cliFlags", "network", "squash")
_TEMPLATE = re.compile(r"\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_ARG = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SKAFFOLDS = re.compile(r"IMAGE_(REPO|TAG|NAME|DOMAIN)\w*|DIGEST\w*")
"""Variables of templates that only Skaffold gives."""


_Artifact = tuple[str, str, "Mapping[str, Any]", "Mapping[str, Any]"]
"""Where it stands, the folder of its file, itself, and the ``build`` around it."""


def read_skaffold(root: Path, files: Sequence[str], importer: Importer) -> list[Imported]:
    """Return the images of skaffold.yaml files and of those that they require.

    :raises ConfigError: a file is missing or wrong.
    """
    if not files:
        return []
    importer = importer.reading(files)
    own = posixpath.join(posixpath.dirname(files[0]), "skaffold.env")
    inside = Inside(root)
    if inside.has_file(own):
        path = inside.find(own)
        importer.require_no_secret(path, own)
        variables = read_env_file(path, importer.visible, own)
        importer = replace(importer, variables=importer.visible.over(variables))
    artifacts = _artifacts(root, files, importer)
    names = _names({image: where for image, (where, *_) in artifacts.items()})
    found = []
    for image, (where, folder, artifact, build) in artifacts.items():
        try:
            found.append(_image(root, folder, where, artifact, build, image, names, importer))
        except NotOursError as why:
            importer.note(f"{where}: {image}", f"not an image of this project: {why}")
    return found


def _artifacts(root: Path, files: Sequence[str], importer: Importer) -> dict[str, _Artifact]:
    """Return the artifacts that Dockerfiles build, by image; tell which others there are."""
    artifacts: dict[str, _Artifact] = {}
    for file, number, document in _documents(root, files, importer):
        build = _mapping(document.get("build"), f"{file}: build")
        for index, artifact in enumerate(_sequence(build.get("artifacts"), f"{file}: artifacts")):
            where = f"{file}: " + (f"document {number}: " if number else "")
            where += f"build.artifacts[{index}]"
            artifact = _mapping(artifact, where)  # noqa: PLW2901 - the same, checked
            image = artifact.get("image") or artifact.get("imageName")
            if not isinstance(image, str):
                raise ConfigError(f"{where}.image: this key is required.")
            if other := [key for key in _OTHER_BUILDERS if key in artifact]:
                importer.note(
                    f"{where}: {image}",
                    f"not an image of this project: it is built with {other[0]}, without a "
                    "Dockerfile",
                )
                continue
            found = (where, posixpath.dirname(file), artifact, build)
            first = artifacts.setdefault(image, found)
            if _placed(root, first) != _placed(root, found):
                raise ConfigError(
                    f"{where}: {image} is another image than {first[0]}, by the same name.",
                    hint="Skaffold wants each name once in all configurations; or name one of the "
                    "files in [discover] skaffold, and not what requires both.",
                )
    return artifacts


def _placed(root: Path, found: _Artifact) -> dict[str, Any]:
    """Return what makes an artifact, its folder relative to the project: text alone tells nothing.

    ``context: base`` is another folder in each file, and ``../base`` and ``../../base`` may be one.
    """
    where, folder, artifact, build = found
    settings = _mapping(artifact.get("docker", artifact.get("kaniko")), f"{where}.docker")
    context = posixpath.normpath(posixpath.join(folder, str(artifact.get("context") or ".")))
    dockerfile = str(settings.get("dockerfile") or "Dockerfile")
    with contextlib.suppress(NotOursError):  # it is no image of this project, as will be told
        dockerfile = _dockerfile(root, folder, context, dockerfile)
    return {
        "context": context,
        "settings": {**settings, "dockerfile": dockerfile},
        "platforms": artifact.get("platforms") or build.get("platforms"),
        "requires": artifact.get("requires"),
    }


def _documents(
    root: Path, files: Sequence[str], importer: Importer
) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield file, number (0: the only one) and content of each configuration, once."""
    waiting = deque[tuple[str, frozenset[str]]]((file, frozenset()) for file in files)
    asked: set[tuple[str, frozenset[str]]] = set()
    seen: set[tuple[str, int]] = set()
    known: dict[str, list[dict[str, Any]]] = {}
    while waiting:
        file, names = waiting.popleft()
        if (file, names) in asked:
            continue
        asked.add((file, names))
        if file not in known:
            known[file] = read_documents(Inside(root).find(file), file)
        documents = known[file]
        for at, document in enumerate(documents, 1):
            if not str(document.get("apiVersion", "")).startswith("skaffold/"):
                raise ConfigError(f"{file}: apiVersion: this is no configuration of Skaffold.")
            name = str(_mapping(document.get("metadata"), f"{file}: metadata").get("name"))
            if (names and name not in names) or (file, at) in seen:
                continue
            seen.add((file, at))
            yield file, at if len(documents) > 1 else 0, document
            waiting += _required(root, file, document, importer)


def _required(
    root: Path, file: str, document: Mapping[str, Any], importer: Importer
) -> Iterator[tuple[str, frozenset[str]]]:
    for one in _sequence(document.get("requires"), f"{file}: requires"):
        table = _mapping(one, f"{file}: requires")
        names = frozenset(map(str, _sequence(table.get("configs"), f"{file}: requires.configs")))
        if "path" in table:
            where = f"{file}: requires.path"
            try:
                path = locate(root, posixpath.dirname(file), str(table["path"]), what="path")
            except NotOursError as why:
                raise ConfigError(f"{where}: {table['path']} can't be read: {why}.") from None
            folder = Inside(root).has_folder(path, where=where)
            yield (f"{path}/skaffold.yaml" if folder else path), names
        elif remote := [key for key in table if key not in {"configs", "activeProfiles"}]:
            importer.warn(f"{file}: requires: the configurations behind {remote[0]} are not read")
        else:
            yield file, names


def _image(
    root: Path,
    folder: str,
    where: str,
    artifact: Mapping[str, Any],
    build: Mapping[str, Any],
    image: str,
    names: Mapping[str, str],
    importer: Importer,
) -> Imported:
    settings = _mapping(artifact.get("docker", artifact.get("kaniko")), f"{where}.docker")
    if _mapping(artifact.get("hooks"), f"{where}.hooks").get("before"):
        importer.note(f"{where}.hooks.before", "not run by aksci")
    if unused := [key for key in _UNUSED if settings.get(key)]:
        importer.note(f"{where}: {image}", f"not taken over: {', '.join(unused)}")
    secrets = [_mapping(one, where).get("id") for one in _sequence(settings.get("secrets"), where)]
    ssh = [str(settings["ssh"]).partition("=")[0]] if settings.get("ssh") else []
    importer.tell_secrets(f"{where}: {image}", map(str, secrets), ssh)
    context = locate(
        root, folder, str(artifact.get("context") or artifact.get("workspace") or "."),
        what="context",
    )  # fmt: skip
    args, unknown = _arguments(settings.get("buildArgs"), f"{where}.buildArgs", importer)
    requires, base_args = _bases(artifact, where, names, importer)
    platforms = artifact.get("platforms") or build.get("platforms")
    return Imported(
        name=names[image],
        where=where,
        dockerfile=_dockerfile(root, folder, context, str(settings.get("dockerfile") or "")),
        context=context,
        target=str(settings["target"]) if settings.get("target") else None,
        args={name: value for name, value in args.items() if name not in base_args},
        unknown={name: why for name, why in unknown.items() if name not in base_args},
        platforms=tuple(map(str, _sequence(platforms, f"{where}.platforms"))),
        references=(image,),
        requires=requires,
        base_args=base_args,
    )


def _dockerfile(root: Path, folder: str, context: str, path: str) -> str:
    """Find the Dockerfile as Skaffold does: in the context, or beside skaffold.yaml."""
    path = path or "Dockerfile"
    inside = locate(root, context, path, what="Dockerfile")
    beside = locate(root, folder, path, what="Dockerfile")
    look = Inside(root)
    shared = beside != inside and not look.has_file(inside) and look.has_file(beside)
    return beside if shared else inside


def _arguments(value: Any, where: str, importer: Importer) -> tuple[dict[str, str], dict[str, str]]:
    """Return the build arguments, and those that can't be known -> why."""
    args: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for key, one in _mapping(value, where).items():
        name = str(key)
        if one is None:  # as --build-arg NAME
            if name in importer.visible:
                args[name] = importer.visible[name]
            continue
        try:
            args[name] = _TEMPLATE.sub(lambda hit: _variable(hit.group(1), importer), text(one))
        except NotOursError as why:
            unknown[name] = f"{where}.{name}: {short_line(one)}: {why}"
            continue
        if "{{" in args[name]:
            written = short_line(args.pop(name))
            unknown[name] = f"{where}.{name}: {written}: only Skaffold fills in templates"
    return args, unknown


def _variable(name: str, importer: Importer) -> str:
    if name in importer.visible:
        return importer.visible[name]
    if _SKAFFOLDS.fullmatch(name):
        raise NotOursError(f"only Skaffold knows {name}")
    raise NotOursError(f"the environment variable {name} is not set")


def _bases(
    artifact: Mapping[str, Any], where: str, names: Mapping[str, str], importer: Importer
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the images that an artifact requires, and the arguments that name them."""
    requires, args = [], {}
    for one in _sequence(artifact.get("requires"), f"{where}.requires"):
        table = _mapping(one, f"{where}.requires")
        image = str(table.get("image"))
        if image not in names:
            importer.note(f"{where}.requires", f"{image} is not an image of this project")
            continue
        requires.append(names[image])
        alias = str(table.get("alias") or image)
        if _ARG.fullmatch(alias):
            args[alias] = names[image]
    return tuple(requires), args


def _names(places: Mapping[str, str]) -> dict[str, str]:
    """Name each image by the last part of its path, or by more of them where that is not enough."""
    paths: dict[str, list[str]] = {}
    for image, where in places.items():
        try:
            path = parse_reference(image).repository.removeprefix("library/")
        except ConfigError as error:
            raise ConfigError(f"{where}.image: {error.message}", hint=error.hint) from None
        paths[image] = path.split("/")
    # By counting: to compare each with each takes as long as their number squared.
    ends = Counter(
        tuple(parts[-count:]) for parts in paths.values() for count in range(1, len(parts) + 1)
    )
    names: dict[str, str] = {}
    for image, parts in paths.items():
        count = 1
        while count < len(parts) and ends[tuple(parts[-count:])] > 1:
            count += 1
        names[image] = image_name("/".join(parts[-count:]), f"{places[image]}.image")
    return names


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be a mapping.")
    return value


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(f"{where}: must be a list.")
    return value
