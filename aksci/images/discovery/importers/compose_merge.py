"""Services that several Compose files say something of (Compose specification, "Merge")."""

from __future__ import annotations

import contextlib
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.images.discovery.importers.imported import NotOursError, locate
from aksci.images.discovery.importers.yaml_documents import Override, Reset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["MergedFile", "merge_services", "merge_warnings"]

_SAY = (
    '\n[discover] compose = [["a/compose.yaml"], ["b/compose.yaml"]] makes two projects, and '
    '[["a/compose.yaml", "b/compose.yaml"]] says that it is one.'
)
_SHOWN = 3
"""Services of a warning."""


def merge_services(
    base: Mapping[str, dict[str, Any]], changes: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return services with what a later file says of them.

    Mappings are merged, sequences are appended, other values are replaced; ``!reset`` and
    ``!override`` make exceptions.
    """
    merged = dict(base)
    for name, change in changes.items():
        if change.get("x-reset"):
            merged.pop(name, None)
        else:
            merged[name] = _merge(base.get(name, {}), change)
    return merged


def _merge(base: Any, change: Any) -> Any:
    if isinstance(change, Override):
        return _plain(change.value)
    if isinstance(base, dict) and isinstance(change, dict):
        merged = dict(base)
        for key, value in change.items():
            if isinstance(value, Reset):
                merged.pop(key, None)
            else:
                merged[key] = _merge(base.get(key), value)
        return merged
    if isinstance(base, list) and isinstance(change, list):
        # Most of them are words: those are not compared one by one.
        words = {one for one in base if isinstance(one, str)}
        return [
            *base,
            *(one for one in change if one not in (words if isinstance(one, str) else base)),
        ]
    return _plain(change)


def _plain(value: Any) -> Any:
    """Take the tags off a value that nothing is merged with."""
    if isinstance(value, Override):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not isinstance(one, Reset)}
    return value


@dataclass(frozen=True, kw_only=True)
class MergedFile:
    """A Compose file among those of one project."""

    root: Path
    folder: str
    """Of the first file: what all paths are relative to, Compose's documentation says in "Merge
    Compose files"."""
    file: str


def merge_warnings(
    at: MergedFile,
    names: Iterable[str],
    earlier: Mapping[str, dict[str, Any]],
    merged: Mapping[str, dict[str, Any]],
) -> Iterator[str]:
    """Yield what builds are others than the file says if it is read by itself.

    :param names: the services that the file names.
    :param earlier: all services before it was merged; ``merged``: and after.
    """
    replaced, moved = [], []
    for name in names:
        now, before = _build_of(merged.get(name)), _build_of(earlier.get(name))
        if now is None:
            continue
        if before not in (None, now):
            replaced.append(f"{name}, {_shown(before)} → {_shown(now)}")
        elif before is None and (own := _own_folder(at, merged[name]["build"], now)):
            moved.append(f"{name}, {now[0]} and not {own}")
    if replaced:
        yield (
            f"{at.file}: it gives services of earlier files another build: {_some(replaced)}{_SAY}"
        )
    if moved:
        yield (
            f"{at.file}: Compose reads the folders of builds from where the first file is: "
            f"{_some(moved)}{_SAY}"
        )


def _some(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _own_folder(at: MergedFile, build: Mapping[str, Any], place: tuple[str, str, str]) -> str:
    """Return the folder that a build would have beside its own file; empty: none, or the same."""
    own = posixpath.dirname(at.file)
    context, dockerfile, inline = place
    if own == at.folder or build.get("x-absolute") or inline:
        return ""
    with contextlib.suppress(NotOursError, ConfigError):
        there = posixpath.relpath(context, at.folder or ".")
        there = locate(at.root, own, there, what="context")
        path = locate(at.root, there, dockerfile, what="Dockerfile")
        return there if there != context and Inside(at.root).has_file(path) else ""
    return ""


def _build_of(service: Mapping[str, Any] | None) -> tuple[str, str, str] | None:
    """Return context, Dockerfile and the text in place of one; None: it has no build."""
    build = (service or {}).get("build")
    if not isinstance(build, dict):
        return None
    context = build.get("context", build.get("x-folder", "."))
    inline = str(build.get("dockerfile_inline") or "")
    return str(context), str(build.get("dockerfile") or "Dockerfile"), inline


def _shown(place: tuple[str, str, str] | None) -> str:
    context, dockerfile, inline = place or ("", "", "")
    return f"{context} ({'an inline Dockerfile' if inline else dockerfile})"
