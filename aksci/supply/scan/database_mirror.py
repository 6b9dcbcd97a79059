"""Trivy's database, and its index of Java archives, from registries that aksci.toml names.

They are fetched by us: with the logins that images have, checked by digest, and kept by digest, so
that a verdict tells with which database it was made, and a scan that runs keeps the one it began
with. Format: an OCI artifact of one layer, a tar of two files (trivy-db's and trivy-java-db's
documentation, "Download the vulnerability database").
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from aksci.core.errors import AksciError, GateError
from aksci.core.files import write_atomically
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aksci.core.reporting import Reporter
    from aksci.oci.references import Reference
    from aksci.oci.registry import Registry

__all__ = ["DATABASE", "JAVA_INDEX", "Mirrored", "MirroredKind", "fetch_mirrored"]

_HUB = {"docker.io": "registry-1.docker.io"}
_ASKED = "asked.json"
_RECENT = dt.timedelta(hours=1)
"""For so long a tag is not asked again: Trivy's own rule."""
_OLD = dt.timedelta(days=2)
"""After so long, a scan that began with a database has ended."""
_LARGEST = 8 << 30
"""Bytes of one file, unpacked: the public ones have about one and two gigabytes."""
_PIECE = 1 << 20
_UNREADABLE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)


@dataclass(frozen=True, kw_only=True)
class MirroredKind:
    """What is mirrored: its name for people, in ``aksci.toml`` and in the layer's type."""

    name: str
    key: str
    layer: str
    copied_from: str
    """Where Trivy's own is."""
    part: str
    """The folder of its files in a cache folder of Trivy's."""
    files: tuple[str, ...]


DATABASE = MirroredKind(
    name="vulnerability database",
    key="scan.database",
    layer="application/vnd.aquasec.trivy.db.layer.v1.tar+gzip",
    copied_from="ghcr.io/aquasecurity/trivy-db:2",
    part="db",
    files=("trivy.db", "metadata.json"),
)
JAVA_INDEX = MirroredKind(
    name="index of Java archives",
    key="scan.java_database",
    layer="application/vnd.aquasec.trivy.javadb.layer.v1.tar+gzip",
    copied_from="ghcr.io/aquasecurity/trivy-java-db:1",
    part="java-db",
    files=("trivy-java.db", "metadata.json"),
)


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What was fetched."""

    folder: Path
    """A cache folder of Trivy's that has this alone. It never changes."""
    digest: str
    """Of the artifact's manifest."""


def fetch_mirrored(
    cache: Path,
    references: Sequence[Reference],
    *,
    kind: MirroredKind,
    check: Callable[[Path], object],
    registries: Callable[[str], Registry],
    now: dt.datetime,
    reporter: Reporter,
) -> Mirrored:
    """Return what the first mirror has that may be used; where none has, what was fetched last.

    :param check: raises ``GateError`` where what is in ``Mirrored.folder`` may not be used.
    :param registries: returns the client of a host, which logs in as for images.
    :raises GateError: no mirror has any that may be used, and the last one may not be, either.
    """
    from filelock import FileLock

    place = cache / kind.key
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / "lock"):
        last = _last(place, references, check)
        if last and dt.timedelta(0) <= now - last[1] < _RECENT:
            return _used(last[0], now)
        found, problems = _first(place, references, kind, check, registries)
        if found:
            for problem in problems:
                line = problem.splitlines()[0]
                reporter.warning(f"A mirror of the {kind.name} was passed over. {line}")
            _remember(place, references, found, now)
            _sweep(place, found, now)
            return _used(found, now)
        if last:
            reporter.warning(
                f"The {kind.name} could not be refreshed; using {last[0].digest[:19]}, of "
                f"{last[1]:%Y-%m-%d %H:%M} UTC. {problems[0].splitlines()[0]}"
            )
            return _used(last[0], now)
    raise GateError(
        f"No mirror in {kind.key} has a {kind.name} that can be used.\n\n" + "\n".join(problems),
        hint=f"copy Trivy's there (oras cp {kind.copied_from} MIRROR), and see that this login may "
        "pull it.",
    )


def _first(
    place: Path,
    references: Sequence[Reference],
    kind: MirroredKind,
    check: Callable[[Path], object],
    registries: Callable[[str], Registry],
) -> tuple[Mirrored | None, list[str]]:
    """Return what the first of the mirrors has that may be used, and what is wrong before it."""
    problems: list[str] = []
    for reference in references:
        try:
            registry = registries(_HUB.get(reference.registry, reference.registry))
            found = _fetch(place, registry, reference, kind)
            check(found.folder)
        except AksciError as error:
            problems.append(f"{reference}: {error.message}")
        else:
            return found, problems
    return None, problems


def _fetch(place: Path, registry: Registry, reference: Reference, kind: MirroredKind) -> Mirrored:
    digest = registry.resolve(reference.repository, reference.digest or reference.tag)
    if digest is None:
        raise GateError("it is not there.")
    folder = place / digest.replace(":", "-")
    if not all((folder / kind.part / name).is_file() for name in kind.files):
        shutil.rmtree(folder, ignore_errors=True)  # a cache that lost some of its files
        with _beside(folder) as temporary:
            (temporary / kind.part).mkdir()
            _unpack(registry, reference, digest, kind, temporary / kind.part)
            temporary.rename(folder)
    return Mirrored(folder=folder, digest=digest)


def _unpack(
    registry: Registry, reference: Reference, digest: str, kind: MirroredKind, folder: Path
) -> None:
    manifest = registry.manifest(reference.repository, digest)
    layers = [] if manifest.is_index else manifest.layers
    if [layer.media_type for layer in layers] != [kind.layer]:
        raise manifest.damaged(f"it is no {kind.name} of Trivy's")
    with tempfile.TemporaryFile(dir=folder.parent) as packed:
        # Whole, and its digest checked, before anything of it is read.
        hashed = hashlib.sha256()
        for piece in registry.stream_blob(reference.repository, layers[0].digest):
            hashed.update(piece)
            packed.write(piece)
        if layers[0].digest != f"sha256:{hashed.hexdigest()}":
            raise manifest.damaged("its layer is not what its digest says")
        packed.seek(0)
        try:
            _extract(packed, kind.files, folder)
        except _UNREADABLE as error:
            raise manifest.damaged(str(error) or "its layer can't be unpacked") from None


def _extract(packed: IO[bytes], names: Sequence[str], folder: Path) -> None:
    """Write the files of these names, and nothing else of an archive.

    :raises ValueError: they are not all there, or are no files, or larger than is allowed.
    """
    missing = set(names)
    with tarfile.open(fileobj=packed, mode="r:gz") as archive:
        for entry in archive:
            name = entry.name.removeprefix("./")
            source = archive.extractfile(entry) if entry.isreg() and name in missing else None
            if source is None:
                continue
            if entry.size > _LARGEST:
                raise ValueError(f"{name} has more than {_LARGEST >> 30} GiB")
            with (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
            missing.remove(name)
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix=".fetched-", dir=folder.parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _last(
    place: Path, references: Sequence[Reference], check: Callable[[Path], object]
) -> tuple[Mirrored, dt.datetime] | None:
    """Return what these mirrors gave last and when, if it is there and may still be used."""
    try:
        known = parse_json((place / _ASKED).read_bytes())
        mirrored = Mirrored(folder=place / known["folder"], digest=known["digest"])
        asked = dt.datetime.fromisoformat(known["asked"])
        if known["references"] != [str(each) for each in references] or not asked.tzinfo:
            return None
        check(mirrored.folder)
    except (OSError, GateError, *MALFORMED):
        return None
    return mirrored, asked


def _used(mirrored: Mirrored, now: dt.datetime) -> Mirrored:
    """Note that a scan begins with it: what is in use is not swept."""
    with contextlib.suppress(OSError):
        os.utime(mirrored.folder, (now.timestamp(), now.timestamp()))
    return mirrored


def _remember(
    place: Path, references: Sequence[Reference], found: Mirrored, now: dt.datetime
) -> None:
    document = {
        "asked": now.isoformat(),
        "digest": found.digest,
        "folder": found.folder.name,
        "references": [str(each) for each in references],
    }
    write_atomically(place / _ASKED, json.dumps(document))


def _sweep(place: Path, kept: Mirrored, now: dt.datetime) -> None:
    """Remove what was replaced long ago: each database has a gigabyte, and comes twice a day."""
    for folder in place.glob("sha256-*"):
        with contextlib.suppress(OSError):
            used = dt.datetime.fromtimestamp(folder.stat().st_mtime, tz=dt.UTC)
            if folder != kept.folder and now - used > _OLD:
                shutil.rmtree(folder, ignore_errors=True)
