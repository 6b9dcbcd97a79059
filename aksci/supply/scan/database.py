"""The vulnerability database: where it comes from, and whether it may be used.

Trivy itself accepts a database of any age with ``--skip-db-update``, so the age is judged here.
Format: trivy-db's ``metadata.json``, schema 2.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import AksciError, ConfigError, GateError
from aksci.core.strict_json import parse_json
from aksci.supply.sandbox import Sandbox
from aksci.supply.scan.database_mirror import DATABASE, JAVA_INDEX, fetch_mirrored
from aksci.supply.scan.java_index import check_index, write_empty_index
from aksci.supply.scan.scanner import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.oci.references import Reference
    from aksci.oci.registry import Registry
    from aksci.supply.scan.database_mirror import Mirrored, MirroredKind

__all__ = [
    "DatabaseSource",
    "TrivyDatabase",
    "check_database",
    "ensure_database",
    "make_database",
]

_SCHEMA = 2
_SKEW = dt.timedelta(minutes=10)
_DOWNLOAD_TIMEOUT = 900.0  # seconds; the public database is about 100 MB
_HINT = "remove {folder} and run again; it is only a cache."
_NOTICE = (
    "The images are scanned with a small test database of {count} vulnerabilities: a pass is not a "
    'statement about their safety. Set database = "public" under [scan] for a real scan.'
)


@dataclass(frozen=True, kw_only=True)
class TrivyDatabase(Database):
    """A database of Trivy's that passed ``check_database``."""

    folder: Path
    """Trivy's cache folder layout: it holds ``db/trivy.db`` and ``db/metadata.json``."""
    updated_at: dt.datetime
    name: str
    """``public``, ``mirrored`` or ``small test database``."""


@dataclass(frozen=True, kw_only=True)
class DatabaseSource:
    """Which database to use, from ``[scan] database``."""

    kind: Literal["public", "small", "auto", "mirror"]
    """``auto``: the public one; where it can't be fetched, the small one."""
    maker: Callable[[], Path]
    """Returns the program ``trivydb``; only called where the small database is used."""
    trivy: Path
    local: bool
    """The environment is the embedded platform. The small database is for nothing else."""
    repositories: tuple[str, ...] = ()
    """OCI repositories of the public database, tried in order. Default: Trivy's own."""
    java: bool = False
    """Fetch the index of Java archives, too."""
    mirrors: tuple[Reference, ...] = ()
    """Where a mirrored database is, tried in order."""
    java_mirrors: tuple[Reference, ...] = ()
    """Where the index of Java archives is; empty: the public one."""
    registries: Callable[[str], Registry] | None = None
    """Returns the client of a mirror's host."""


def ensure_database(
    cache: Path,
    *,
    source: DatabaseSource,
    max_age: dt.timedelta,
    now: dt.datetime,
    runner: Runner,
    reporter: Reporter,
) -> TrivyDatabase:
    """Return a database that is present and fresh, fetched or made when it is not.

    :param cache: the per-user cache of the scanner.
    :raises ConfigError: the small database was asked for outside the embedded platform.
    :raises GateError: there is no database that may be used.
    """
    if source.kind == "small" and not source.local:
        raise ConfigError(
            'scan.database is "small", a test database, but this environment is not the embedded '
            "platform.",
            hint='set database = "public" under [scan] in aksci.toml.',
        )
    if source.kind == "mirror":
        database = _mirrored(cache, source, max_age, now, reporter)
        return _with_mirrored_java(cache, database, source, now, reporter)
    if source.kind != "small":
        try:
            database = _public(cache, source, max_age, now, runner, reporter)
            return _with_mirrored_java(cache, database, source, now, reporter)
        except GateError as error:
            if source.kind == "public" or not source.local:
                raise
            reporter.warning(f"{error.message.splitlines()[0]} Using the small database instead.")
    database = _small(cache, source.maker(), max_age, now, runner)
    origin = _json(database.folder / "db" / "origin.json")
    reporter.warning(_NOTICE.format(count=origin.get("advisories", "a few")))
    return database


def make_database(binary: Path, folder: Path, updated_at: dt.datetime, *, runner: Runner) -> Path:
    """Write the small database into ``folder/db`` with our program ``trivydb``."""
    target = folder / "db"
    target.mkdir(parents=True, exist_ok=True)
    runner.run([binary, "-updated", updated_at.isoformat(), target], timeout=60, quiet=True)
    return folder


def check_database(folder: Path, *, max_age: dt.timedelta, now: dt.datetime) -> TrivyDatabase:
    """Judge the database in a Trivy cache folder.

    :raises GateError: it is missing, damaged, of another schema, too old, or from the future.
    """
    place = folder / "db"
    hint = _HINT.format(folder=place)
    metadata = _json(place / "metadata.json")
    if not metadata or not (place / "trivy.db").is_file():
        raise GateError(f"There is no complete vulnerability database in {place}.", hint=hint)
    if metadata.get("Version") != _SCHEMA:
        raise GateError(
            f"The vulnerability database in {place} has schema {metadata.get('Version')}, "
            f"not {_SCHEMA}.",
            hint=hint,
        )
    updated = _time(metadata.get("UpdatedAt"))
    if updated is None:
        raise GateError(f"{place / 'metadata.json'} has no valid UpdatedAt.", hint=hint)
    if updated > now + _SKEW:
        raise GateError(
            f"The vulnerability database is dated {updated:%Y-%m-%d %H:%M} UTC, in the future.",
            hint="check this machine's clock, or " + hint,
        )
    if now - updated > max_age:
        hours = (now - updated).total_seconds() / 3600
        raise GateError(
            f"The vulnerability database is {hours:.0f} hours old; the policy accepts "
            f"{max_age.total_seconds() / 3600:.0f} (scan.database_max_age).",
            hint="let it be downloaded: check the network, the proxy and scan.database.",
        )
    origin = _json(place / "origin.json")
    name = str(origin.get("name", "public"))
    part = str(origin.get("data", "public")).removeprefix("sha256:")[:12]
    return TrivyDatabase(
        folder=folder,
        updated_at=updated,
        name=name,
        identity=f"{part}@{updated.isoformat()}",
        test=bool(origin),
    )


def _public(
    cache: Path,
    source: DatabaseSource,
    max_age: dt.timedelta,
    now: dt.datetime,
    runner: Runner,
    reporter: Reporter,
) -> TrivyDatabase:
    """Let Trivy download what it considers due; go on with a young enough one otherwise."""
    from filelock import FileLock

    folder = cache / "public"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "public.lock"):
        try:
            _download(folder, source, runner, "--download-db-only")
        except AksciError as error:
            try:
                database = check_database(folder, max_age=max_age, now=now)
            except GateError:
                raise GateError(
                    f"The vulnerability database could not be downloaded.\n\n{error.message}",
                    hint="check the network and the proxy.",
                ) from None
            reporter.warning(
                "The vulnerability database could not be refreshed; using the one of "
                f"{database.updated_at:%Y-%m-%d %H:%M} UTC."
            )
        else:
            database = check_database(folder, max_age=max_age, now=now)
        fetch_java = source.java and not source.java_mirrors
        return _with_java(database, source, now, runner) if fetch_java else database


def _mirrored(
    cache: Path,
    source: DatabaseSource,
    max_age: dt.timedelta,
    now: dt.datetime,
    reporter: Reporter,
) -> TrivyDatabase:
    """Return the database of a mirror, identified by its digest."""

    def check(folder: Path) -> TrivyDatabase:
        return check_database(folder, max_age=max_age, now=now)

    found = _fetch(cache, source, DATABASE, check, now, reporter)
    database = check(found.folder)
    identity = f"{found.digest}@{database.updated_at.isoformat()}"
    return replace(database, name="mirrored", identity=identity)


def _with_mirrored_java(
    cache: Path,
    database: TrivyDatabase,
    source: DatabaseSource,
    now: dt.datetime,
    reporter: Reporter,
) -> TrivyDatabase:
    """Add a mirror's index of Java archives, where one is asked for."""
    if not (source.java and source.java_mirrors):
        return database
    check = functools.partial(check_index, now=now)
    index = _fetch(cache, source, JAVA_INDEX, check, now, reporter)
    folder = _combine(cache, database.folder / "db", index.folder / "java-db")
    part, _, updated = database.identity.partition("@")
    return replace(database, folder=folder, identity=f"{part}+java-{index.digest}@{updated}")


def _fetch(
    cache: Path,
    source: DatabaseSource,
    kind: MirroredKind,
    check: Callable[[Path], object],
    now: dt.datetime,
    reporter: Reporter,
) -> Mirrored:
    if source.registries is None:  # pragma: no cover - who names mirrors says how to reach them
        raise AssertionError(kind.key)
    return fetch_mirrored(
        cache,
        source.mirrors if kind is DATABASE else source.java_mirrors,
        kind=kind,
        check=check,
        registries=source.registries,
        now=now,
        reporter=reporter,
    )


def _combine(cache: Path, *parts: Path) -> Path:
    """Return a cache folder of Trivy's that leads to these parts, which stay where they are."""
    from filelock import FileLock

    place = cache / "combined"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "combined.lock"):
        for other in place.iterdir():
            if not all(part.exists() for part in other.iterdir()):  # swept, long after its last use
                shutil.rmtree(other, ignore_errors=True)
        folder = place / hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
        folder.mkdir(exist_ok=True)
        for part in parts:
            with contextlib.suppress(FileExistsError):
                (folder / part.name).symlink_to(part.resolve(), target_is_directory=True)
    return folder


def _with_java(
    database: TrivyDatabase, source: DatabaseSource, now: dt.datetime, runner: Runner
) -> TrivyDatabase:
    """Add the index of Java archives, fetched when Trivy considers it due."""
    try:
        _download(database.folder, source, runner, "--download-java-db-only")
    except AksciError as error:
        try:
            date = check_index(database.folder, now=now)
        except GateError:
            raise GateError(
                f"The index of Java archives could not be downloaded.\n\n{error.message}",
                hint="check the network and the proxy.",
            ) from None
    else:
        date = check_index(database.folder, now=now)
    part, _, updated = database.identity.partition("@")
    return replace(database, identity=f"{part}+java-{date}@{updated}")


def _download(folder: Path, source: DatabaseSource, runner: Runner, what: str) -> None:
    with Sandbox(runner.environment) as sandbox:
        runner.run(
            [
                source.trivy,
                "image",
                what,
                "--cache-dir",
                folder,
                "--config",
                sandbox.write("trivy.yaml", "{}\n"),
                "--no-progress",
                "--skip-version-check",
                "--disable-telemetry",
                *(
                    word
                    for repository in source.repositories
                    for word in ("--db-repository", repository)
                ),
            ],
            cwd=sandbox.empty,
            env=sandbox.environment,
            only_env=True,
            timeout=_DOWNLOAD_TIMEOUT,
        )


def _small(
    cache: Path, binary: Path, max_age: dt.timedelta, now: dt.datetime, runner: Runner
) -> TrivyDatabase:
    """Make the small database once a day: one folder each, moved into place when it is whole."""
    program = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    day = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    folder = cache / f"small-java-{program}-{day:%Y%m%d}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".small-", dir=cache))
        try:
            make_database(binary, temporary, day, runner=runner)
            write_empty_index(temporary, day)
            temporary.rename(folder)
        except OSError:
            if not folder.exists():  # another process was quicker: its database is the same
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return check_database(folder, max_age=max(max_age, dt.timedelta(days=1)), now=now)


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a file, or nothing where there is none."""
    try:
        document = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _time(text: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
