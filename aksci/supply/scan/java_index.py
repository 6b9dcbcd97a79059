"""Trivy's index of Java archives, by which it knows a ``.jar`` that does not say what it is.

Format: trivy-java-db's ``metadata.json`` and ``trivy-java.db`` (SQLite), schema 1. Without any
index Trivy refuses images with Java archives; one that is empty leaves it what the archives say.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from aksci.core.errors import GateError
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["JAVA_HINT", "check_index", "write_empty_index"]

JAVA_HINT = "an image with Java archives needs java = true under [scan] in aksci.toml."
_FOLDER = "java-db"
_SCHEMA = 1
_OLDEST = dt.timedelta(days=30)  # it is published weekly
_TABLES = """
CREATE TABLE artifacts(id INTEGER PRIMARY KEY, group_id TEXT, artifact_id TEXT);
CREATE TABLE indices(artifact_id INTEGER, version TEXT, sha1 BLOB, archive_type TEXT);
"""


def write_empty_index(folder: Path, updated_at: dt.datetime) -> None:
    """Write an index that knows nothing, beside the small test database."""
    place = folder / _FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(place / "trivy-java.db")) as database:
        database.executescript(_TABLES)
    never = updated_at + dt.timedelta(days=3650)
    document = {
        "Version": _SCHEMA,
        "NextUpdate": never.isoformat(),
        "UpdatedAt": updated_at.isoformat(),
        "DownloadedAt": updated_at.isoformat(),
    }
    (place / "metadata.json").write_text(json.dumps(document), encoding="utf-8")


def check_index(folder: Path, *, now: dt.datetime) -> str:
    """Judge the index in a Trivy cache folder; return its date, part of a verdict's key.

    :raises GateError: it is missing, damaged, of another schema, or more than 30 days old.
    """
    place = folder / _FOLDER
    try:
        document = parse_json((place / "metadata.json").read_bytes())
        updated = dt.datetime.fromisoformat(document["UpdatedAt"])
        known = document["Version"] == _SCHEMA and (place / "trivy-java.db").is_file()
        age = now - updated
    except (OSError, *MALFORMED) as error:
        raise GateError(
            f"There is no complete index of Java archives in {place} ({error!r}).",
            hint=f"remove {place} and run again; it is only a cache.",
        ) from None
    if not known or not dt.timedelta(0) <= age + dt.timedelta(minutes=10) <= _OLDEST:
        raise GateError(
            f"The index of Java archives in {place} is of {updated:%Y-%m-%d}, schema "
            f"{document['Version']}: it can't be used.",
            hint=f"remove {place} and run again; check the network and this machine's clock.",
        )
    return f"{updated:%Y%m%d}"
