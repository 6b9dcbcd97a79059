"""Run the migrations: one runner at a time, and never waiting long for a lock that the running service needs."""

from __future__ import annotations

import logging.config
import time
from typing import TYPE_CHECKING

from alembic import context
from sqlalchemy import text

from catalog.database import connect, metadata
from catalog.logs import CONFIG

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCK = 7_301_001
PATIENCE = 60
"""Seconds to wait for another runner."""

logging.config.dictConfig(CONFIG)
log = logging.getLogger("catalog.migrations")


def become_the_only_runner(connection: Connection) -> None:
    """Take the session's advisory lock.

    Ask again and again rather than wait inside the database: a waiting session holds a snapshot, and CREATE INDEX
    CONCURRENTLY of the other runner would wait for that one.
    """
    deadline = time.monotonic() + PATIENCE
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        connection.rollback()
        if time.monotonic() > deadline:
            message = f"another migration has been running for more than {PATIENCE} s"
            raise TimeoutError(message)
        time.sleep(1)
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()


if context.is_offline_mode():
    message = "the migrations need the database: run them with `alembic upgrade head`"
    raise SystemExit(message)

engine = connect(statement_timeout_ms=0)
with engine.connect() as session:
    become_the_only_runner(session)
    context.configure(connection=session, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    log.info(
        "migrated", extra={"fields": {"revision": context.get_context().get_current_revision()}}
    )
engine.dispose()
