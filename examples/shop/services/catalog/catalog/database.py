"""The catalog's table, and a pool of connections to it."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
)

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price_cents", Integer, CheckConstraint("price_cents >= 0"), nullable=False),
    Column("category", Text, nullable=False, server_default="misc"),
    Index("products_category", "category"),
)


def connect(url: str = "postgresql+psycopg://", *, statement_timeout_ms: int = 5000) -> Engine:
    """Return a pool; what the URL leaves out comes from libpq's variables (PGHOST, PGPASSWORD, …)."""
    return create_engine(
        url,
        pool_size=8,
        max_overflow=0,
        pool_timeout=3,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "catalog",
            "options": f"-c statement_timeout={statement_timeout_ms}",
        },
    )
