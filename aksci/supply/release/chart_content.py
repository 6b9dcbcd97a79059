"""What is in a chart, as Helm loads it: its files, and those of the charts that it holds.

Source: Helm 4.3, pkg/chart/v2/loader/load.go and pkg/chart/loader/archive. What Helm would take for
something else than we do is refused, so that what was looked at is what is installed.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import read_file
from aksci.core.strict_yaml import YamlError, parse_yaml
from aksci.core.text import short_line
from aksci.core.unpack import unpack_gzip
from aksci.supply.release.chart_schemas import SCHEMA, require_own_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["chart_metadata", "check_chart", "check_files", "packed_files", "unpacked"]

_LARGEST = 32 * 1024 * 1024
"""Bytes of a chart, unpacked with all that is in it. Its release is one Secret of 1 MiB,
compressed, chart and all."""
_MOST = 5000
"""Files of packed charts, in all."""
_PACKED = 200
"""Packed charts in a chart, in all."""
_HEADERS = 256 * 1024
"""Bytes of extended headers, in all: they hold paths that are long or not ASCII."""
_LONGEST = 1024
_DOUBLED = 2
"""Extended headers of one entry."""
_EXTENDED = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_DEEPEST = 8
"""Charts within charts."""
_MANIFESTS = frozenset({".yaml", ".yml", ".json"})
_GROUP = "apiextensions.k8s.io/"
_KEYS = frozenset(
    {
        "annotations", "apiVersion", "appVersion", "dependencies", "deprecated", "description",
        "home", "icon", "keywords", "kubeVersion", "maintainers", "name", "sources", "type",
        "version",
    }
)  # fmt: skip
"""Of Chart.yaml (Helm's "Charts" page)."""
_FOLDED = {key.casefold(): key for key in _KEYS}


def check_chart(chart: Path) -> None:
    """Refuse a chart that installs something which no rendering shows.

    :param chart: packed (``.tgz``), or its folder.
    :raises ConfigError: one of its ``crds`` holds something else than CustomResourceDefinitions;
        it can't be read, or can be read in two ways.
    """
    shown = chart.name
    if not chart.is_dir():
        files = packed_files(chart.read_bytes(), shown)
        check_files(unpacked(files.items(), shown), shown)
        return
    found = []
    for path in chart.rglob("*"):
        inner = path.relative_to(chart).as_posix()
        # Helm follows it, to any file of the machine.
        if path.is_symlink():
            raise ConfigError(
                f"{short_line(str(path))} is a symbolic link; a chart may hold files only."
            )
        if path.is_file() and _matters(inner):
            found.append((inner, read_file(path, shown=short_line(str(path)))))
    check_files(unpacked(found, shown), shown)


def check_files(files: Iterable[tuple[str, bytes]], shown: str) -> None:
    """Refuse what Helm reads of a chart and its sub-charts, and no rendering shows.

    In ``crds`` may be CustomResourceDefinitions only: Helm installs what is there as it is, before
    it renders anything (its "Custom Resource Definitions" page). Schemas refer to no files.

    :param files: path in the chart -> content, sub-charts unpacked.
    """
    for inner, content in files:
        own = _own_part(inner)
        if own.startswith("crds/") and posixpath.splitext(own)[1].casefold() in _MANIFESTS:
            _check_definition(content, f"{shown}: {short_line(inner)}")
        elif own == "requirements.yaml":
            _check_requirements(content, f"{shown}: {short_line(inner)}")
        elif own == SCHEMA:
            require_own_schema(f"{shown}: {short_line(inner)}", content)


def chart_metadata(content: bytes, shown: str) -> dict[str, Any]:
    """Read Chart.yaml as Helm does.

    :raises ConfigError: it is no mapping, or can be read in two ways.
    """
    documents = _documents(content, shown)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"{shown} is not a table.")
    metadata: dict[str, Any] = documents[0]
    for key in metadata:
        # Go's encoding/json takes a key of another case for the same.
        if _FOLDED.get(key.casefold(), key) != key:
            raise ConfigError(f"{shown}: write {_FOLDED[key.casefold()]!r} exactly so.")
    return metadata


def unpacked(files: Iterable[tuple[str, bytes]], shown: str) -> Iterator[tuple[str, bytes]]:
    """Yield a chart's files, with packed sub-charts (``charts/NAME.tgz``) as folders.

    Helm takes both alike. As a folder, a sub-chart is what we have read, and no archive that
    another program may read differently.
    """
    yield from _unpacked(files, shown, _Room())


@dataclass(slots=True)
class _Room:
    """What is left of the limits for all archives of a chart together.

    Each by itself may be small: a few kilobytes hold hundreds, of which each unpacks to megabytes.
    """

    size: int = _LARGEST
    files: int = _MOST
    packed: int = _PACKED
    headers: int = _HEADERS


def _unpacked(
    files: Iterable[tuple[str, bytes]], shown: str, room: _Room, *, depth: int = 0
) -> Iterator[tuple[str, bytes]]:
    files = list(files)
    paths = sorted(inner for inner, _ in files)
    for inner, content in files:
        if not _is_packed(inner):
            yield inner, content
            continue
        folder = inner.removesuffix(".tgz")
        at = bisect_left(paths, f"{folder}/")
        if at < len(paths) and paths[at].startswith(f"{folder}/"):
            raise ConfigError(f"{shown} has {short_line(inner)!r} both packed and as a folder.")
        if depth >= _DEEPEST:
            raise ConfigError(f"{shown}: charts within charts, more than {_DEEPEST} deep.")
        room.packed -= 1
        if room.packed < 0:
            raise ConfigError(f"{shown} holds more than {_PACKED} packed charts.")
        where = f"{shown}: {short_line(inner)}"
        inside = _packed_files(content, where, room).items()
        for name, part in sorted(_unpacked(inside, where, room, depth=depth + 1)):
            yield f"{folder}/{name}", part


def _is_packed(inner: str) -> bool:
    """Tell whether Helm unpacks a file: ``charts/NAME.tgz``, of the chart or of one in it."""
    own = _own_part(inner)
    name = own.removeprefix("charts/")
    return own != name and "/" not in name and name.endswith(".tgz") and name[0] not in "_."


def _own_part(inner: str) -> str:
    """Return a path as the chart that it belongs to knows it: without ``charts/NAME/`` before."""
    parts, at = inner.split("/"), 0
    while len(parts) - at > 2 and parts[at] == "charts":  # noqa: PLR2004 - the folder, a name, a file
        at += 2
    return "/".join(parts[at:])


def _matters(inner: str) -> bool:
    own = _own_part(inner)
    return own.startswith(("charts/", "crds/")) or own in {"requirements.yaml", SCHEMA}


def packed_files(content: bytes, shown: str) -> dict[str, bytes]:
    """Read a packed chart: path in it, without its own folder -> content.

    :raises ConfigError: it is no such archive; it holds what is neither file nor folder, a path
        that leads outside, or a file twice; or it is too large.
    """
    return _packed_files(content, shown, _Room())


def _packed_files(content: bytes, shown: str, room: _Room) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        # Helm reads one stream of gzip.
        plain = unpack_gzip(content, largest=room.size, alone=True)
        room.size -= len(plain)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:", tarinfo=_entries(room)) as archive:
            for member in archive:
                room.files -= 1
                if room.files < 0:
                    raise ConfigError(f"{shown}: with it, there are more than {_MOST} files.")
                if member.isdir():
                    continue
                name = _inner_name(member, shown)
                file = archive.extractfile(member)
                if name in found or file is None:
                    raise ConfigError(f"{shown} holds {short_line(name)!r} twice.")
                found[name] = file.read()
    except (OSError, tarfile.TarError, ValueError, EOFError) as error:
        raise ConfigError(f"{shown} is no packed chart: {short_line(error)}.") from None
    return found


def _entries(room: _Room) -> type[tarfile.TarInfo]:
    """Return the class of an archive's entries, whose extended headers have limits.

    Python before 3.12.6 looks through them in quadratic time (CVE-2024-6232): for a megabyte of
    digits, which a kilobyte unpacks to, in hours. And each one takes some of its recursion.
    """
    above = 0

    class Entry(tarfile.TarInfo):
        # The method that tarfile means to be overridden (its source, "_proc_member").
        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            nonlocal above
            extended = self.type in _EXTENDED
            if extended:
                room.headers -= self.size
                if self.size > _LONGEST or room.headers < 0 or above >= _DOUBLED:
                    raise tarfile.ReadError("extended headers without need")
            above += extended
            found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
            above -= extended
            return found

    return Entry


def _inner_name(member: tarfile.TarInfo, shown: str) -> str:
    name = member.name
    parts = PurePosixPath(name).parts
    if (
        not member.isreg()
        or member.issparse()
        or len(parts) < 2  # noqa: PLR2004 - the chart's folder, and what is in it
        or "/".join(parts) != name
        or ".." in parts
        or name.startswith("/")
        or "\\" in name
    ):
        raise ConfigError(
            f"{shown} holds {short_line(name)!r}, which is no file in the chart's folder."
        )
    return "/".join(parts[1:])


def _check_definition(content: bytes, where: str) -> None:
    for document in _documents(content, where):
        if (
            not isinstance(document, dict)
            or document.get("kind") != "CustomResourceDefinition"
            or not str(document.get("apiVersion")).startswith(_GROUP)
            # Whatever its kind, kubectl's reader takes what has items for a list of objects.
            or any(key.casefold() == "items" for key in document)
        ):
            raise ConfigError(
                f"{where}: only CustomResourceDefinitions may be in crds: Helm installs what is "
                "there without rendering it, so no check sees what it runs.",
                hint="move it to the chart's templates.",
            )


def _check_requirements(content: bytes, where: str) -> None:
    # Helm reads it over what Chart.yaml says.
    for document in _documents(content, where):
        if not isinstance(document, dict) or set(document) - {"dependencies"}:
            raise ConfigError(f"{where}: it may hold 'dependencies' only.")


def _documents(content: bytes, where: str) -> list[Any]:
    try:
        return parse_yaml(content)
    except YamlError as error:
        raise ConfigError(f"{where} can't be read in one way: {error}.") from None
