"""Put a few products into a catalog that has none, so that a new shop has something to show."""

from __future__ import annotations

import logging.config
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from catalog.database import connect, products
from catalog.logs import CONFIG

if TYPE_CHECKING:
    from sqlalchemy import Engine

STARTERS = [
    {"sku": "mug", "name": "Enamel mug", "price_cents": 1250, "category": "kitchen"},
    {"sku": "pot", "name": "Camping pot", "price_cents": 3900, "category": "kitchen"},
    {"sku": "rope", "name": "Rope, 20 m", "price_cents": 2400, "category": "outdoor"},
    {"sku": "tarp", "name": "Tarpaulin", "price_cents": 5400, "category": "outdoor"},
]


def seed(engine: Engine) -> int:
    """Insert the starters if the table is empty, and return how many were inserted."""
    with engine.begin() as connection:
        if connection.execute(select(func.count()).select_from(products)).scalar_one():
            return 0
        connection.execute(insert(products), STARTERS)
    return len(STARTERS)


if __name__ == "__main__":
    logging.config.dictConfig(CONFIG)
    logging.getLogger("catalog.seed").info(
        "seeded", extra={"fields": {"inserted": seed(connect())}}
    )
