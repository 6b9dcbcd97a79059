from __future__ import annotations

import datetime as dt
import json
import sys

import pytest

from aksci.ci.choose import choose_reporter
from aksci.core.errors import ConfigError, GateError
from aksci.core.process import Runner
from aksci.supply.scan.database import DatabaseSource, check_database, ensure_database
from aksci.supply.scan.java_index import check_index, write_empty_index

AGE = dt.timedelta(hours=168)


@pytest.fixture
def folder(tmp_path, now):
    place = tmp_path / "db"
    place.mkdir()
    (place / "trivy.db").write_bytes(b"bolt")
    write(tmp_path, {"Version": 2, "UpdatedAt": now.isoformat()})
    return tmp_path


def write(folder, metadata):
    (folder / "db" / "metadata.json").write_text(json.dumps(metadata))


def test_a_fresh_database_is_accepted(folder, now):
    database = check_database(folder, max_age=AGE, now=now + AGE)
    assert (database.name, database.test) == ("public", False)


def test_a_database_older_than_the_policy_accepts_is_refused(folder, now):
    with pytest.raises(GateError, match="169 hours old; the policy accepts 168"):
        check_database(folder, max_age=AGE, now=now + AGE + dt.timedelta(hours=1))


def test_a_database_from_the_future_is_refused(folder, now):
    with pytest.raises(GateError, match="in the future"):
        check_database(folder, max_age=AGE, now=now - dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"Version": 1, "UpdatedAt": "2026-11-23T12:00:00Z"}, "schema 1, not 2"),
        ({"Version": 3, "UpdatedAt": "2026-11-23T12:00:00Z"}, "schema 3, not 2"),
        ({"UpdatedAt": "2026-11-23T12:00:00Z"}, "schema None"),
        ({"Version": 2}, "no valid UpdatedAt"),
        ({"Version": 2, "UpdatedAt": "yesterday"}, "no valid UpdatedAt"),
        ({"Version": 2, "UpdatedAt": "2026-11-23T12:00:00"}, "no valid UpdatedAt"),
        ([], "no complete"),
    ],
)
def test_a_database_of_another_schema_or_without_date_is_refused(folder, now, metadata, words):
    write(folder, metadata)
    with pytest.raises(GateError, match=words):
        check_database(folder, max_age=AGE, now=now)


@pytest.mark.parametrize("missing", ["trivy.db", "metadata.json"])
def test_an_incomplete_database_is_refused(folder, now, missing):
    (folder / "db" / missing).unlink()
    with pytest.raises(GateError, match="no complete vulnerability database"):
        check_database(folder, max_age=AGE, now=now)


def test_a_database_of_nanoseconds_as_go_writes_them_is_read(folder, now):
    write(folder, {"Version": 2, "UpdatedAt": "2026-11-23T11:59:58.123456789Z"})
    assert check_database(folder, max_age=AGE, now=now).updated_at.year == 2026


def test_the_small_database_is_refused_outside_the_embedded_platform(tmp_path, now):
    source = DatabaseSource(
        kind="small", maker=lambda: tmp_path, trivy=tmp_path / "trivy", local=False
    )
    with pytest.raises(ConfigError, match="not the embedded platform"):
        ensure_database(
            tmp_path,
            source=source,
            max_age=AGE,
            now=now,
            runner=Runner(environment={}, log=lambda _: None),
            reporter=choose_reporter({}, sys.stderr),
        )


def test_an_index_of_java_archives_is_used_while_it_is_young_and_whole(tmp_path, now):
    with pytest.raises(GateError, match="no complete index"):
        check_index(tmp_path, now=now)
    write_empty_index(tmp_path, now)
    assert check_index(tmp_path, now=now) == f"{now:%Y%m%d}"
    for later in (dt.timedelta(days=31), dt.timedelta(days=-1)):
        with pytest.raises(GateError, match="can't be used"):
            check_index(tmp_path, now=now + later)
    (tmp_path / "java-db" / "trivy-java.db").unlink()
    with pytest.raises(GateError, match="can't be used"):
        check_index(tmp_path, now=now)
    (tmp_path / "java-db" / "metadata.json").write_text("[]")
    with pytest.raises(GateError, match="no complete index"):
        check_index(tmp_path, now=now)
