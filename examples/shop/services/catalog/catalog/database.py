"""The catalog's table, a pool of connections to it, and reading that outlasts a restart of the database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Executable, RowMapping

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
        pool_timeout=15,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "catalog",
            "options": f"-c statement_timeout={statement_timeout_ms}",
        },
    )


@dataclass(kw_only=True)
class Reader:
    """Reads that wait for a database which is away, such as one whose pod is being replaced.

    They wait ``patience`` seconds from when it was first missed, all together rather than each: threads are few, and
    a database that stays away must not take the probes' as well.
    """

    engine: Engine
    patience: float = 15
    pause: float = 0.2
    _missed_since: float | None = field(default=None, init=False)

    def rows(self, query: Executable, *, wait: bool = True) -> Sequence[RowMapping]:
        """Return what a query finds. It only reads, so it may be asked again after it was cut off."""
        while True:
            try:
                with self.engine.connect() as connection:
                    found = connection.execute(query).mappings().all()
            except OperationalError as error:
                if not (is_away(error) and self._may_wait() and wait):
                    raise
                time.sleep(self.pause)
            else:
                self._missed_since = None
                return found

    def _may_wait(self) -> bool:
        now = time.monotonic()
        if self._missed_since is None:
            self._missed_since = now
        return now - self._missed_since < self.patience


def is_away(error: OperationalError) -> bool:
    """Say whether nobody answered (no code), or the connection broke (08), or the server stops or starts (57P)."""
    code = getattr(error.orig, "sqlstate", "")
    return code is None or code.startswith(("08", "57P"))
