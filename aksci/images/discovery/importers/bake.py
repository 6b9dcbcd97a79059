"""Images of docker-bake files, as ``docker buildx bake --print`` reads them.

Docker's documentation, "Bake file reference". ``--print`` has resolved variables, functions,
inheritance, matrices and groups.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, ProcessError
from aksci.core.inside import Inside, read_file
from aksci.core.process import Limits
from aksci.core.secret_variables import VisibleVariables
from aksci.core.strict_json import parse_json
from aksci.images.discovery.importers.imported import Imported, NotOursError, image_name, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from aksci.core.process import Runner
    from aksci.images.discovery.importers.imported import Importer

__all__ = ["print_bake", "read_bake"]

_OWN = "BUILDX_BAKE_"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMEOUT = 60  # seconds; it takes 0.05
_LIMITS = Limits(memory=384 << 20, cpu=60, output=16 << 20)
"""Of buildx, which needs 50 MB and 0.05 s, and for 3,000 targets 170 MB and 4 s of work: a few
lines of HCL that name each other twice take more than a machine has."""
_CRASHED = 2
"""Exit status of a program in Go that has no memory left (package runtime)."""
_UNUSED = ("annotations", "entitlements", "extra-hosts", "labels", "network", "shm-size", "ulimits")
"""What may change an image, or whether it builds, and is not taken over."""
_SUFFIXES = (".hcl", ".json")
_EXPORTS_FILES = frozenset({"local", "tar", "cacheonly"})
_DEFAULTS = frozenset({"docker-bake.hcl", "docker-bake.json"})
_OVERRIDES = ("docker-bake.override.json", "docker-bake.override.hcl")
_OWN_KEYS = ("*.secrets=", "*.ssh=")
"""Bake looks for the files of secrets and for the SSH agent even when it only prints."""


def print_bake(
    runner: Runner,
    buildx: Path,
    files: Sequence[Path],
    targets: Sequence[str],
    *,
    variables: VisibleVariables | None = None,
) -> Mapping[str, Any]:
    """Return what bake files say of some targets and groups, and of what those are based on.

    :param variables: all that Bake gets to read. Default: the runner's, but for secrets.
    :raises ConfigError: Bake refuses the files.
    """
    words: list[str | Path] = [buildx, "bake", "--print", "--progress", "quiet"]
    for file in files:
        words += ["--file", file]
    folder = files[0].parent
    visible = VisibleVariables(runner.environment) if variables is None else variables
    _tell_withheld(files, visible)
    # Bake's own say which files and which places are read: aksci.toml does.
    environment = {name: text for name, text in visible.items() if not name.startswith(_OWN)}
    run = partial(
        runner.run,
        cwd=folder,
        env=environment,
        only_env=True,
        timeout=_TIMEOUT,
        quiet=True,
        limits=_LIMITS,
    )
    plain = run([*words, *targets], check=False)
    shown = ", ".join(map(str, files))
    if plain.status == 0:
        return _read(plain.stdout, shown)
    if plain.status < 0 or plain.status == _CRASHED:
        raise _too_much(shown)
    # Only now: without them, nobody could tell which secrets the file names.
    for pattern in _OWN_KEYS:
        words += ["--set", pattern]
    try:
        bare = run([*words, *targets])
    except ProcessError as error:
        raise ConfigError(
            f"docker buildx bake can't read {shown}:\n{error.output.strip()}",
            hint="[discover] bake_targets names the targets and groups to read; a variable "
            "without a default must be in the environment.",
        ) from None
    return _read(bare.stdout, shown)


def _too_much(shown: str) -> ConfigError:
    return ConfigError(
        f"docker buildx bake can't read {shown} with {_LIMITS.memory >> 20} MiB of memory in "
        f"{_LIMITS.cpu} s.",
        hint="it takes far less for thousands of targets; look for a matrix, or for variables that "
        "name each other.",
    )


def _tell_withheld(files: Sequence[Path], visible: VisibleVariables) -> None:
    """Tell which variables the files name and don't get: Bake itself would not say so."""
    for file in files:
        try:
            content = read_file(file, shown=str(file)).decode("utf-8", "replace")
        except FileNotFoundError:  # Bake will say so
            continue
        for name in sorted({*_WORD.findall(content)} & visible.withheld):
            visible.get(name)


def read_bake(
    root: Path, files: Sequence[str], targets: Sequence[str], importer: Importer
) -> list[Imported]:
    """Return the images of bake files.

    Paths are relative to the first file's folder, or to the project where that is where they
    lead to Dockerfiles: to Bake they are relative to wherever it is called.

    :raises ConfigError: a file is missing or wrong, or nobody is there to read it.
    """
    if not files:
        return []
    inside = Inside(root)
    for file in files:
        _require_file(inside, file)
    _tell_overrides(root, files, importer)
    if importer.bake_print is None:
        raise ConfigError(f"aksci.toml: discover.bake: {files[0]} can't be read without buildx.")
    document = importer.bake_print([root / file for file in files], targets)
    found: Mapping[str, Mapping[str, Any]] = document.get("target") or {}
    base = _base(root, posixpath.dirname(files[0]), found.values())
    ours: dict[str, Imported] = {}
    refused: dict[str, str] = {}
    for name, target in found.items():
        where = f"{files[0]}: target.{name}"
        try:
            ours[name] = _image(root, base, where, name, target)
        except NotOursError as why:
            refused[name] = str(why)
    _drop_exports(found, ours, refused)
    _drop_dependents(found, ours, refused)
    for name, reason in refused.items():
        importer.note(f"{files[0]}: target.{name}", f"not an image of this project: {reason}")
    for name in ours:
        _tell_unused(importer, f"{files[0]}: target.{name}", found[name])
    return list(ours.values())


def _require_file(inside: Inside, file: str) -> None:
    where = "aksci.toml: discover.bake"
    if not inside.has_file(file, where=where):
        raise ConfigError(f"{where}: {file} does not exist.")
    # Bake takes any other file for Compose's, too. Then it reads the .env beside it and whatever
    # env_file names, wherever links lead, and shows a line of them in its errors.
    if not file.endswith(_SUFFIXES):
        raise ConfigError(
            f"{where}: {file} is no file of Bake's: their names end in .hcl or .json.",
            hint="[discover] compose reads Compose files.",
        )


def _tell_overrides(root: Path, files: Sequence[str], importer: Importer) -> None:
    """Warn of the files that Bake adds by itself when it is called without ``--file``."""
    for file in files:
        folder, _, name = file.rpartition("/")
        if name not in _DEFAULTS:
            continue
        for override in _OVERRIDES:
            path = posixpath.join(folder, override)
            if path not in files and (root / path).is_file():
                importer.warn(f"{path} is not read: add it to [discover] bake if it belongs there")


def _read(printed: str, shown: str) -> Mapping[str, Any]:
    if len(printed) >= _LIMITS.output:
        raise _too_much(shown)
    try:
        document: Mapping[str, Any] = parse_json(printed)
    except ValueError as error:
        raise ConfigError(f"aksci.toml: discover.bake: buildx prints no plan ({error}).") from None
    return document


def _base(root: Path, folder: str, targets: Iterable[Mapping[str, Any]]) -> str:
    """Return the folder that paths are relative to."""
    needed = [
        posixpath.join(str(target.get("context", ".")), str(target.get("dockerfile", "Dockerfile")))
        for target in targets
        if "dockerfile-inline" not in target and "://" not in str(target.get("context", "."))
    ]
    inside = Inside(root)
    here = all(_is_there(inside, posixpath.join(folder, path)) for path in needed)
    there = all(_is_there(inside, path) for path in needed)
    return "" if there and not here else folder


def _is_there(inside: Inside, path: str) -> bool:
    with contextlib.suppress(ConfigError):  # outside: whose target it is will tell
        return inside.has_file(path)
    return False


def _image(root: Path, base: str, where: str, name: str, target: Mapping[str, Any]) -> Imported:
    path = str(target.get("context") or ".")
    if path.startswith(("target:", "docker-image:", "oci-layout:")):
        raise NotOursError(f"its context {path} is no folder")
    context = locate(root, base, path, what="context")
    file = str(target.get("dockerfile") or "Dockerfile")
    inside = "" if file.startswith("cwd://") else context
    dockerfile = locate(root, inside or base, file.removeprefix("cwd://"), what="Dockerfile")
    return Imported(
        name=image_name(name, where),
        where=where,
        dockerfile=dockerfile,
        context=context,
        inline=target.get("dockerfile-inline"),
        target=target.get("target"),
        args={key: value for key, value in (target.get("args") or {}).items() if value is not None},
        platforms=tuple(target.get("platforms") or ()),
        references=tuple(target.get("tags") or ()),
        aliases=(),
        contexts={
            key: _context(root, base, value, where)
            for key, value in (target.get("contexts") or {}).items()
        },
    )


def _context(root: Path, base: str, value: str, where: str) -> str:
    if value.startswith("target:"):
        return f"image:{image_name(value.removeprefix('target:'), where)}"
    if value.startswith("docker-image://"):
        return value
    if "://" in value and not value.startswith("cwd://"):
        raise NotOursError(f"its named context {value} is no folder")
    return locate(root, base, value.removeprefix("cwd://"), what="named context")


def _drop_exports(
    found: Mapping[str, Mapping[str, Any]], ours: dict[str, Imported], refused: dict[str, str]
) -> None:
    """Leave out what only exports files, unless another target is based on it."""
    used = {
        value.removeprefix("target:")
        for target in found.values()
        for value in (target.get("contexts") or {}).values()
    }
    for name in [name for name in ours if name not in used]:
        kinds = {str(one.get("type", "local")) for one in found[name].get("output") or ()}
        if kinds and kinds <= _EXPORTS_FILES:
            refused[name] = f"it makes no image (output: {', '.join(sorted(kinds))})"
            del ours[name]


def _drop_dependents(
    found: Mapping[str, Mapping[str, Any]], ours: dict[str, Imported], refused: dict[str, str]
) -> None:
    """Leave out what is based on a target that is left out."""
    changed = True
    while changed:
        changed = False
        for name in list(ours):
            needed = {
                value.removeprefix("target:")
                for value in (found[name].get("contexts") or {}).values()
                if value.startswith("target:")
            }
            if missing := sorted(needed & set(refused)):
                refused[name] = f"it is based on the target {missing[0]}"
                del ours[name]
                changed = True


def _tell_unused(importer: Importer, where: str, target: Mapping[str, Any]) -> None:
    if unused := [key for key in _UNUSED if target.get(key)]:
        importer.note(where, f"not taken over: {', '.join(unused)}")
    secrets = [one.get("id", "") for one in target.get("secret") or ()]
    importer.tell_secrets(where, secrets, [one.get("id", "") for one in target.get("ssh") or ()])
