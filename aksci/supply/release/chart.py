"""Helm charts as OCI artifacts: packed here, so that the same files give the same digest.

Layout and media types: Helm's "Charts" and "Use OCI-based registries" pages. ``helm pull`` and
``helm install`` take what is pushed here.
"""

from __future__ import annotations

import fnmatch
import io
import json
import re
import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, DamagedInRegistry, RegistryError
from aksci.core.inside import Inside, read_file
from aksci.core.text import short_line
from aksci.oci.artifact import Content, canonical_json, push_artifact
from aksci.oci.references import is_repository
from aksci.supply.release.chart_content import chart_metadata, check_files, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["Chart", "fetch_chart", "package_chart", "push_chart", "read_chart"]

CONFIG_TYPE = "application/vnd.cncf.helm.config.v1+json"
CONTENT_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
# As Helm reads it (github.com/Masterminds/semver, NewVersion): "v1", "1.2" are versions, too.
_VERSION = re.compile(
    rf"v?[0-9]{{1,18}}(?:\.[0-9]{{1,18}}){{0,2}}(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?"
)
_LONGEST = 128  # characters of a tag (OCI distribution specification 1.1, "Pulling manifests")
# What Helm takes (its pkg/chart, "chartName"); it is a folder's name and part of a glob here.
_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9._-]*")
_RULES = 500
"""Patterns of .helmignore: each is tried with each file and folder."""
_STORED_BLOCK = 0xFFFF  # bytes; the largest that RFC 1951, 3.2.4 allows


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart, packed."""

    name: str
    version: str
    metadata: dict[str, Any]
    """Chart.yaml."""
    content: bytes
    """The .tgz."""


def read_chart(folder: Path) -> Chart:
    """Read and pack a chart's folder.

    :raises ConfigError: it is no chart.
    """
    path = folder / "Chart.yaml"
    try:
        content = Inside(folder, name="the chart").read("Chart.yaml")
    except FileNotFoundError:
        raise ConfigError(f"{folder} is not a Helm chart: it has no Chart.yaml.") from None
    metadata = chart_metadata(content, str(path))
    for key in ("name", "version"):
        if not isinstance(metadata.get(key), str):
            raise ConfigError(f"{path}: {key!r} must be a text.", hint=f'write {key}: "…"')
    _require_names(path, metadata["name"], metadata["version"])
    _require_dependencies(folder, metadata)
    return Chart(
        name=metadata["name"],
        version=metadata["version"],
        metadata=metadata,
        content=package_chart(folder, name=metadata["name"]),
    )


def package_chart(folder: Path, *, name: str | None = None) -> bytes:
    """Pack a chart's folder as Helm does, without times, owners and compression.

    Compressed bytes differ between zlib's implementations; stored ones are the same everywhere.
    Packed sub-charts become folders in it.

    :param name: the chart's, which its files lie under. Default: the folder's.
    :raises ConfigError: it holds a link, a schema of its values refers to a file, or ``crds`` holds
        something else than definitions.
    """
    here = ((inner, read_file(path, shown=str(path))) for path, inner in _files(folder))
    files = list(unpacked(here, str(folder)))
    check_files(files, str(folder))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for inner, content in files:
            entry = tarfile.TarInfo(f"{name or folder.name}/{inner}")
            entry.size = len(content)
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(content))
    return _gzip_stored(raw.getvalue())


def push_chart(registry: Registry, repository: str, chart: Chart) -> ImageRef:
    """Store a chart under its version, and return its digest reference.

    :param repository: must end in the chart's name: Helm asks for that.
    """
    return push_artifact(
        registry,
        repository,
        artifact_type=CONFIG_TYPE,
        config=Content(media_type=CONFIG_TYPE, content=_json(chart.metadata)),
        layers=[Content(media_type=CONTENT_TYPE, content=chart.content)],
        tag=chart.version.replace("+", "_"),
    )


def fetch_chart(registry: Registry, ref: ImageRef, folder: Path) -> Path:
    """Fetch a chart by digest into a folder and return its .tgz.

    :raises RegistryError: what is there is not a chart.
    """
    manifest = registry.manifest(ref.repository, ref.digest)
    try:
        layers = [layer for layer in manifest.layers if layer.media_type == CONTENT_TYPE]
        digest = layers[0].digest
    except (DamagedInRegistry, IndexError):
        raise RegistryError(f"{ref} is not a Helm chart.") from None
    folder.mkdir(parents=True, exist_ok=True)
    name = PurePosixPath(ref.repository).name
    path = folder / f"{name}-{ref.digest.removeprefix('sha256:')[:12]}.tgz"
    path.write_bytes(registry.blob(ref.repository, digest))
    return path


def _require_names(path: Path, name: str, version: str) -> None:
    """Refuse what can't be the last part of a repository, and a tag there."""
    # Before anything is written: the name becomes a folder in the packed chart, too.
    if "/" in name or not is_repository(name):
        raise ConfigError(
            f"{path}: name: {short_line(name)!r} can't be the name of a chart.",
            hint="words of a-z and 0-9 with dashes between them (Helm, 'Chart names').",
        )
    if not _VERSION.fullmatch(version) or len(version) > _LONGEST:
        raise ConfigError(
            f"{path}: version: {short_line(version)!r} is no version of Semantic Versioning 2, of "
            f"at most {_LONGEST} characters.",
            hint='write one such as version: "1.2.3".',
        )


def _require_dependencies(folder: Path, metadata: dict[str, Any]) -> None:
    for entry in metadata.get("dependencies") or []:
        name = str(entry.get("name")) if isinstance(entry, dict) else str(entry)
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{folder / 'Chart.yaml'}: no chart is called {short_line(name)!r}.")
        charts = folder / "charts"
        if not (charts / name).is_dir() and not any(charts.glob(f"{name}-*.tgz")):
            raise ConfigError(
                f"{folder / 'Chart.yaml'} depends on {name!r}, which is not in {charts}.",
                hint=f"helm dependency build {folder}",
            )


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that belongs to the chart with its path in it, sorted."""
    rules = _ignore_rules(folder)
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        inner = path.relative_to(folder).as_posix()
        if _ignored(inner, rules, folder):
            continue
        if path.is_symlink():
            raise ConfigError(f"{path} is a symbolic link; a chart may hold files only.")
        if path.is_file():
            yield path, inner


def _ignore_rules(folder: Path) -> list[tuple[str, bool]]:
    """Return (pattern, negated) of .helmignore; Helm itself always leaves hidden templates out."""
    path, inside = folder / ".helmignore", Inside(folder, name="the chart")
    try:
        text = inside.read(path).decode() if inside.has_file(path) else ""
    except UnicodeDecodeError:
        raise ConfigError(f"{path} can't be read: it is not UTF-8.") from None
    lines = text.splitlines()
    patterns = [line.strip() for line in lines]
    patterns = [pattern for pattern in patterns if pattern and not pattern.startswith("#")]
    if len(patterns) > _RULES:
        raise ConfigError(f"{path} has more than {_RULES} patterns.")
    for pattern in patterns:
        if "**" in pattern:
            raise ConfigError(f"{path}: {pattern!r}: Helm does not support ** here.")
    rules = [(pattern.removeprefix("!"), pattern.startswith("!")) for pattern in patterns]
    return [*rules, ("/templates/.?*", False)]


def _ignored(inner: str, rules: list[tuple[str, bool]], folder: Path) -> bool:
    """Tell whether a path, or a folder above it, is left out; the last rule that matches wins."""
    parts = PurePosixPath(inner).parts
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        is_folder = depth < len(parts) or (folder / path).is_dir()
        ignored = False
        for pattern, negated in rules:
            if _rule_matches(pattern, path, is_folder=is_folder):
                ignored = not negated
        if ignored:
            return True
    return False


def _rule_matches(pattern: str, path: str, *, is_folder: bool) -> bool:
    if pattern.endswith("/"):
        if not is_folder:
            return False
        pattern = pattern.rstrip("/")
    if "/" in pattern:
        pattern = pattern.removeprefix("/")
        return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
    return fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)


def _json(metadata: dict[str, Any]) -> bytes:
    """Encode Chart.yaml; YAML has dates, which JSON has not."""
    return canonical_json(json.loads(json.dumps(metadata, default=str)))


def _gzip_stored(content: bytes) -> bytes:
    """Wrap bytes as gzip (RFC 1952) of stored blocks, without name and time."""
    blocks = [
        content[start : start + _STORED_BLOCK] for start in range(0, len(content), _STORED_BLOCK)
    ] or [b""]
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(parts)
