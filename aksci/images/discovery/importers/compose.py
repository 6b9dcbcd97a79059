"""Images of Compose files: each service with ``build:``.

Compose specification ("Services top-level elements", "Compose Build Specification", "Merge",
"Extends", "Include"). All profiles count: an image is part of the project whoever starts it.
"""

from __future__ import annotations

import posixpath
import re
from collections import ChainMap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aksci.core.allowance import Allowance
from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.images.discovery.importers.compose_merge import (
    MergedFile,
    merge_services,
    merge_warnings,
)
from aksci.images.discovery.importers.imported import (
    Imported,
    NotOursError,
    image_name,
    locate,
    text,
)
from aksci.images.discovery.importers.interpolation import TOTAL, fill_in_all, read_env_file
from aksci.images.discovery.importers.yaml_documents import Override, Reset, read_documents
from aksci.oci.references import is_repository

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from aksci.core.secret_variables import VisibleVariables
    from aksci.images.discovery.importers.imported import Importer

__all__ = ["read_compose"]

_MOST_INCLUDED = 1000
_LONGEST_CHAIN = 50
"""Services that extend each other."""
_READ = ("build", "extends", "image", "platform")
"""Of a service; no more of it is looked at."""
_PROJECT = "COMPOSE_PROJECT_NAME"
_NO_NAME = re.compile(r"[^a-z0-9_-]")
"""What Compose leaves out of a project's name (compose-go, NormalizeProjectName)."""
_UNUSED = ("entitlements", "extra_hosts", "isolation", "labels", "network", "privileged",
           "shm_size", "ulimits")  # fmt: skip
"""Of ``build``: what may change an image, or whether it builds, and is not taken over."""


@dataclass(kw_only=True)
class _Shared:
    """What all files of one project have together."""

    allowance: Allowance = field(default_factory=lambda: Allowance(TOTAL))
    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """File -> what it holds: services may extend those of one file a thousand times."""
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    """File -> all services of its documents."""
    included: int = 0


@dataclass(frozen=True, kw_only=True)
class _ComposeScope:
    """Where the paths and variables of a Compose file start from."""

    root: Path
    folder: str
    """Relative to the project."""
    variables: VisibleVariables = field(repr=False)
    importer: Importer
    above: tuple[str, ...] = ()
    """The files that include this one."""
    shared: _Shared = field(default_factory=_Shared, repr=False)
    known: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict, repr=False)
    """Identity of a ``services`` and name of one -> what is read of it, with these variables."""

    def filled_in(self, value: Any, where: str) -> Any:
        """Return a value of YAML with its variables filled in."""

        def tell(name: str) -> None:
            if name not in self.variables.withheld:  # which was told
                self.importer.note(
                    where,
                    f"the variable {name} is not set and has no default; Compose takes it as empty",
                )

        return fill_in_all(
            value, self.variables, where=where, unset=tell, allowance=self.shared.allowance
        )


def read_compose(
    root: Path,
    files: Sequence[str],
    importer: Importer,
    *,
    taken: Collection[str] = (),
    said: bool = False,
) -> list[Imported]:
    """Return the images of a project's Compose files, merged in their order.

    :param taken: names that images of other projects have: a service of such a name is called as
        Compose calls its image, ``<project>-<service>``.
    :param said: aksci.toml says that they are one project. Else it may have meant several.
    :raises ConfigError: a file is missing or wrong, or a variable that must be set is not.
    """
    if not files:
        return []
    importer = importer.reading(files)
    folder = posixpath.dirname(files[0])
    shared = _Shared()
    place = _ComposeScope(
        root=root,
        folder=folder,
        variables=_environment(
            root, folder, (".env",), importer.visible, shared, importer=importer, required=False
        ),
        importer=importer,
        shared=shared,
    )
    project = _project_name(place, files)
    variables = place.variables.over({_PROJECT: project})
    place = replace(place, variables=variables)
    services = _load(place, files, tell=not said)
    built = {name: one for name, one in services.items() if one.get("build") is not None}
    names = {}
    for name, service in built.items():
        where = f"{service.get('x-file', files[0])}: services.{name}"
        names[name] = image_name(name, where)
        if names[name] in taken:
            names[name] = image_name(f"{project}-{name}", where)
    found = []
    for name, service in built.items():
        where = f"{service.get('x-file', files[0])}: services.{name}"
        try:
            found.append(_image(place, where, name, service, names, project))
        except NotOursError as why:
            importer.note(where, f"not an image of this project: {why}")
    return found


def _project_name(place: _ComposeScope, files: Sequence[str]) -> str:
    """Return the project's name (Compose specification, "Version and name").

    It is what services without ``image:`` are called by, and COMPOSE_PROJECT_NAME for the files.
    """
    written = place.variables.get(_PROJECT, "")
    if not written:
        for file in files:
            for document in _read(place, file):
                written = place.filled_in(document.get("name"), f"{file}: name") or written
    folder = posixpath.basename((place.root / place.folder).resolve().as_posix())
    return _NO_NAME.sub("", str(written or folder).lower()).lstrip("_-")


def _environment(
    root: Path,
    folder: str,
    files: Sequence[str],
    variables: VisibleVariables,
    shared: _Shared,
    *,
    importer: Importer,
    required: bool,
) -> VisibleVariables:
    """Return the variables of some files, the environment's first."""
    found: dict[str, str] = {}
    inside = Inside(root)
    for file in files:
        shown = posixpath.normpath(posixpath.join(folder, file))
        if required or inside.has_file(shown):
            path = inside.find(shown)
            importer.require_no_secret(path, shown)
            found |= read_env_file(path, ChainMap(variables, found), shown, shared.allowance)
    return variables.over(found)


def _load(
    place: _ComposeScope, files: Sequence[str], *, tell: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the services of files that are merged.

    :param tell: whether to warn of what looks as if they were no files of one project.
    """
    merged: dict[str, dict[str, Any]] = {}
    for file in files:
        documents = _documents(place, file)
        for document in documents:
            earlier, services = merged, _services(place, file, document)
            merged = merge_services(merged, services)
            if tell:
                at = MergedFile(root=place.root, folder=place.folder, file=file)
                for line in merge_warnings(at, services, earlier, merged):
                    place.importer.warn(line)
        for document in documents:
            _include(place, file, document, merged)
    return merged


def _documents(place: _ComposeScope, file: str) -> list[dict[str, Any]]:
    if file in place.above:
        raise ConfigError(f"{file} includes itself: {' -> '.join([*place.above, file])}.")
    return _read(place, file)


def _read(place: _ComposeScope, file: str) -> list[dict[str, Any]]:
    known = place.shared.documents
    if file not in known:
        known[file] = read_documents(Inside(place.root).find(file), file)
    return known[file]


def _services(
    place: _ComposeScope, file: str, document: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what is read of each service, variables and ``extends`` resolved."""
    services = document.get("services")
    if services is None:
        return {}
    _require(isinstance(services, dict), f"{file}: services", "must be a mapping")
    return {
        str(name): _service(place, file, services, str(name), (f"{file}: {name}",))
        for name in services
    }


def _service(
    place: _ComposeScope,
    file: str,
    services: Mapping[str, Any],
    name: str,
    above: tuple[str, ...],
) -> dict[str, Any]:
    # Once, however many services extend it.
    key = (id(services), name)
    if key not in place.known:
        place.known[key] = _read_service(place, file, services, name, above)
    return place.known[key]


def _read_service(
    place: _ComposeScope,
    file: str,
    services: Mapping[str, Any],
    name: str,
    above: tuple[str, ...],
) -> dict[str, Any]:
    where = f"{file}: services.{name}"
    content = services[name]
    if isinstance(content, Reset):
        return {"x-reset": True}
    if isinstance(content, Override):
        content = content.value
    content = {} if content is None else content
    _require(isinstance(content, dict), where, "must be a mapping")
    read = {key: content[key] for key in _READ if key in content}
    service = place.filled_in(read, where)
    if "build" in service:
        service["build"] = _build(place, f"{where}.build", service["build"])
    # For messages: once files are merged, nobody can tell where a service comes from.
    service["x-file"] = file
    extends = service.pop("extends", None)
    if extends is None:
        return dict(service)
    base = _extended(place, file, services, where, extends, above)
    return merge_services({name: base}, {name: service})[name]


def _extended(
    place: _ComposeScope,
    file: str,
    services: Mapping[str, Any],
    where: str,
    extends: Any,
    above: tuple[str, ...],
) -> dict[str, Any]:
    extends = {"service": extends} if isinstance(extends, str) else extends
    valid = isinstance(extends, dict) and isinstance(extends.get("service"), str)
    _require(valid, f"{where}.extends", "must name a service")
    other = extends.get("file")
    if other:
        file = _beside(place, str(other), f"{where}.extends.file")
        place = _ComposeScope(
            root=place.root,
            folder=posixpath.dirname(file),
            variables=place.variables,
            importer=place.importer,
            shared=place.shared,
            known=place.known,
        )
        services = _all_services(place, file)
    name = extends["service"]
    step = f"{file}: {name}"
    if step in above:
        raise ConfigError(f"{where}.extends: services extend each other: {' -> '.join(above)}.")
    _require(
        len(above) < _LONGEST_CHAIN, f"{where}.extends", f"more than {_LONGEST_CHAIN} services "
        "extend each other"
    )  # fmt: skip
    _require(name in services, f"{where}.extends", f"there is no service {name!r} in {file}")
    return _service(place, file, services, name, (*above, step))


def _all_services(place: _ComposeScope, file: str) -> dict[str, Any]:
    known = place.shared.services
    if file not in known:
        known[file] = {}
        for document in _read(place, file):
            services = document.get("services") or {}
            _require(isinstance(services, dict), f"{file}: services", "must be a mapping")
            known[file].update(services)
    return known[file]


def _include(
    place: _ComposeScope, file: str, document: Mapping[str, Any], merged: dict[str, dict[str, Any]]
) -> None:
    """Add the services of included files; each has its own folder and variables."""
    where = f"{file}: include"
    entries = document.get("include") or []
    _require(isinstance(entries, list), where, "must be a list")
    for entry in place.filled_in(entries, where):
        place.shared.included += 1
        _require(
            place.shared.included <= _MOST_INCLUDED, where, f"more than {_MOST_INCLUDED} files are "
            "included"
        )  # fmt: skip
        _require(
            len(place.above) < _LONGEST_CHAIN, where, f"more than {_LONGEST_CHAIN} files include "
            "each other"
        )  # fmt: skip
        table = {"path": entry} if isinstance(entry, str) else entry
        _require(isinstance(table, dict) and table.get("path"), where, "must name a file")
        paths = [_beside(place, str(path), where) for path in _list(table["path"])]
        folder = table.get("project_directory")
        inner = _beside(place, str(folder), where) if folder else posixpath.dirname(paths[0])
        own = [_beside(place, str(path), where) for path in _list(table.get("env_file"))]
        default = posixpath.join(inner, ".env")
        within = _ComposeScope(
            root=place.root,
            folder="" if inner == "." else inner,
            variables=_environment(
                place.root,
                "",
                own or (default,),
                place.variables,
                place.shared,
                importer=place.importer,
                required=bool(own),
            ),
            importer=place.importer,
            shared=place.shared,
            above=(*place.above, file),
        )
        for name, service in _load(within, paths).items():
            if name in merged and merged[name] != service:
                raise ConfigError(f"{where}: {paths[0]} has a service {name!r}, as {file} has.")
            merged[name] = service


def _beside(place: _ComposeScope, path: str, where: str) -> str:
    try:
        return locate(place.root, place.folder, path, what="file")
    except NotOursError as why:
        raise ConfigError(f"{where}: {path} can't be read: {why}.") from None


def _build(place: _ComposeScope, where: str, build: Any) -> Any:
    """Return ``build`` as a mapping, its folders relative to the project; others as they are."""
    if build is None or isinstance(build, Reset):
        return build
    if isinstance(build, Override):
        return Override(_build(place, where, build.value))
    table = {"context": build} if isinstance(build, str) else build
    _require(isinstance(table, dict), where, "must be a folder or a mapping")
    table = dict(table)
    table["args"] = _arguments(place, f"{where}.args", table.get("args"))
    contexts = _pairs(f"{where}.additional_contexts", table.get("additional_contexts"))
    table["additional_contexts"] = {
        key: _named(place, str(value)) for key, value in contexts.items()
    }
    if "context" in table:
        table["x-absolute"] = str(table["context"]).startswith("/")
        table["context"] = _folder(place, str(table["context"]), "context")
    else:
        # Not as ``context``: a merge would let this default beat what an earlier file says.
        table["x-folder"] = _folder(place, ".", "context")
    return table


def _folder(place: _ComposeScope, path: str, what: str) -> str | NotOursError:
    try:
        return locate(place.root, place.folder, path, what=what)
    except NotOursError as why:
        return why  # another file may put another folder in its place


def _named(place: _ComposeScope, value: str) -> str | NotOursError:
    if value.startswith(("docker-image://", "service:", "target:")):
        return value
    if "://" in value and not value.startswith("file://"):
        return NotOursError(f"its named context {value} is no folder")
    return _folder(place, value.removeprefix("file://"), "named context")


def _arguments(place: _ComposeScope, where: str, args: Any) -> dict[str, str]:
    """Return build arguments; one without a value takes the environment's, or is left out."""
    found = {}
    for name, value in _pairs(where, args).items():
        if value is None:
            if name in place.variables:
                found[name] = place.variables[name]
        else:
            found[name] = text(value)
    return found


def _image(
    place: _ComposeScope,
    where: str,
    name: str,
    service: Mapping[str, Any],
    names: Mapping[str, str],
    project: str,
) -> Imported:
    build = service["build"]
    _tell_unused(place, where, build)
    context = _ours(build.get("context", build.get("x-folder", ".")))
    inline = build.get("dockerfile_inline")
    _require(
        not (inline and build.get("dockerfile")),
        f"{where}.build",
        "has both dockerfile and dockerfile_inline",
    )
    dockerfile = locate(
        place.root, context, str(build.get("dockerfile") or "Dockerfile"), what="Dockerfile"
    )
    bake = build.get("x-bake") or {}
    _require(isinstance(bake, dict), f"{where}.build.x-bake", "must be a mapping")
    platforms = _list(build.get("platforms")) or _words(bake.get("platforms"))
    references = [service.get("image"), *_list(build.get("tags")), *_words(bake.get("tags"))]
    own = [str(one) for one in references if one]
    alias = f"{project}-{image_name(name, where)}"
    return Imported(
        name=names[name],
        where=where,
        dockerfile=dockerfile,
        context=context,
        inline=str(inline) if inline else None,
        target=str(build["target"]) if build.get("target") else None,
        args=build.get("args") or {},
        # ``platform: ${PLATFORM:-}`` asks for none.
        platforms=tuple(str(one) for one in platforms or _list(service.get("platform")) if one),
        references=tuple(own),
        aliases=(alias,) if not own and is_repository(alias) else (),
        contexts={
            str(key): _context_value(names, f"{where}.build.additional_contexts.{key}", value)
            for key, value in build["additional_contexts"].items()
        },
    )


def _context_value(names: Mapping[str, str], where: str, value: Any) -> str:
    kind, _, name = _ours(value).partition(":")
    if kind not in {"service", "target"}:
        return _ours(value)
    _require(name in names, where, f"there is no service {name!r} with a build")
    return f"image:{names[name]}"


def _ours(value: Any) -> str:
    if isinstance(value, NotOursError):
        raise value
    return str(value)


def _tell_unused(place: _ComposeScope, where: str, build: Mapping[str, Any]) -> None:
    if unused := [key for key in _UNUSED if build.get(key)]:
        place.importer.note(f"{where}.build", f"not taken over: {', '.join(unused)}")
    secrets = [
        one.get("source", "") if isinstance(one, dict) else one
        for one in _list(build.get("secrets"))
    ]
    ssh = _pairs(f"{where}.build.ssh", build.get("ssh"))
    place.importer.tell_secrets(f"{where}.build", map(str, secrets), ssh)


def _pairs(where: str, value: Any) -> dict[str, Any]:
    """Return a mapping, or a list of ``key=value`` and ``key``, as a mapping."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(key): one for key, one in value.items()}
    _require(isinstance(value, list), where, "must be a list or a mapping")
    words = [text(one).partition("=") for one in value]
    return {key: one if equals else None for key, equals, one in words}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _words(value: Any) -> list[Any]:
    """Return a list, or the words of a text (of ``x-bake``)."""
    return value.split() if isinstance(value, str) else _list(value)


def _require(valid: Any, where: str, why: str) -> None:
    if not valid:
        raise ConfigError(f"{where}: {why}.")
