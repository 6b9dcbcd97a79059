"""The catalog over a database in memory; the migrations are proved by each deployment."""

from __future__ import annotations

import json
import logging

import pytest
from catalog.app import create_app
from catalog.database import metadata, products
from catalog.logs import JsonFormatter
from catalog.seed import STARTERS, seed
from sqlalchemy import create_engine, select
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


def test_a_log_line_is_one_json_object(client):
    record = logging.LogRecord("x", logging.INFO, "f", 1, "two\nlines %s", ("!",), None)
    record.fields = {"status": 200}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["msg"] == "two\nlines !"
    assert json.loads(line)["status"] == 200
