"""The catalog over a database in memory; the migrations are proved by each deployment."""

from __future__ import annotations

import json
import logging
import sqlite3
from itertools import count

import pytest
from catalog.app import create_app
from catalog.database import Reader, metadata, products
from catalog.logs import JsonFormatter
from catalog.seed import STARTERS, seed
from sqlalchemy import create_engine, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool


@pytest.fixture
def engine():
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()


@pytest.fixture
def client(engine):
    metadata.create_all(engine)
    seed(engine)
    return create_app(engine).test_client()


def test_a_product_is_found_by_its_sku(client):
    assert client.get("/products/mug").json == STARTERS[0]


def test_an_unknown_sku_is_404_with_the_reason_in_json(client):
    answer = client.get("/products/none")
    assert (answer.status_code, answer.json) == (404, {"error": "no product 'none'"})


def test_products_can_be_narrowed_to_a_category(client):
    answer = client.get("/products?category=outdoor").json
    assert [product["sku"] for product in answer["products"]] == ["rope", "tarp"]


def test_seeding_twice_changes_nothing(engine):
    metadata.create_all(engine)
    assert [seed(engine), seed(engine)] == [len(STARTERS), 0]
    with engine.connect() as connection:
        assert len(connection.execute(select(products)).all()) == len(STARTERS)


def test_without_its_table_the_service_is_alive_but_not_ready(engine):
    client = create_app(engine).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/products").status_code == 503


class Away(sqlite3.OperationalError):
    """What psycopg raises when nobody answers: an error without a code."""

    sqlstate = None


class CutOff(sqlite3.OperationalError):
    """What PostgreSQL says to its clients when it is stopped."""

    sqlstate = "57P01"


class Cancelled(sqlite3.OperationalError):
    """What PostgreSQL says when a statement took too long."""

    sqlstate = "57014"


def fail_first(engine, name, failures):
    """Let an engine's first connections, or statements, fail (None: not); return what counts them."""
    asked, ahead = [], iter(failures)

    def fail(*_):
        asked.append(1)
        if error := next(ahead, None):
            raise error

    event.listen(engine, name, fail)
    return asked


@pytest.mark.parametrize(
    ("event_name", "error"), [("do_connect", Away()), ("do_execute", CutOff())]
)
def test_a_read_waits_for_a_database_that_comes_back(engine, event_name, error):
    asked = fail_first(engine, event_name, [error, error])
    assert Reader(engine=engine, pause=0).rows(select(1))
    assert len(asked) == 3


@pytest.mark.parametrize("error", [Cancelled(), sqlite3.OperationalError("no such table")])
def test_a_read_does_not_wait_for_what_waiting_cannot_mend(engine, error):
    asked = fail_first(engine, "do_connect", [error] * 2)
    with pytest.raises(OperationalError):
        Reader(engine=engine, pause=0).rows(select(1))
    assert len(asked) == 1


def test_patience_is_counted_from_when_the_database_left_not_for_each_read(engine, monkeypatch):
    clock = count(step=4)
    monkeypatch.setattr("catalog.database.time.monotonic", lambda: next(clock))
    asked = fail_first(engine, "do_connect", [Away()] * 9)
    reader = Reader(engine=engine, pause=0)
    with pytest.raises(OperationalError):
        reader.rows(select(1))
    assert len(asked) == 5  # at 0, 4, 8, 12 and 16 s
    with pytest.raises(OperationalError):
        reader.rows(select(1))
    assert len(asked) == 6


def test_readiness_does_not_wait(client, engine):
    engine.dispose()  # the next connection is a new one
    asked = fail_first(engine, "do_connect", [Away()])
    assert client.get("/readyz").status_code == 503
    assert len(asked) == 1


def test_a_database_that_came_back_is_waited_for_the_next_time_it_leaves(engine, monkeypatch):
    clock = count(step=4)
    monkeypatch.setattr("catalog.database.time.monotonic", lambda: next(clock))
    asked = fail_first(engine, "do_execute", [*[CutOff()] * 5, None, CutOff(), None])
    reader = Reader(engine=engine, pause=0)
    with pytest.raises(OperationalError):
        reader.rows(select(1))
    assert reader.rows(select(1), wait=False)
    assert reader.rows(select(1))
    assert len(asked) == 8


def test_a_log_line_is_one_json_object(client):
    record = logging.LogRecord("x", logging.INFO, "f", 1, "two\nlines %s", ("!",), None)
    record.fields = {"status": 200}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["msg"] == "two\nlines !"
    assert json.loads(line)["status"] == 200
