"""Categories: a column with a default (the older version goes on inserting), and its index without blocking writers."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Each may be run again: CONCURRENTLY is outside the transaction; failing, it leaves an invalid index.
    op.execute(
        "ALTER TABLE products ADD COLUMN IF NOT EXISTS category text NOT NULL DEFAULT 'misc'"
    )
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS products_category")
        op.create_index("products_category", "products", ["category"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("products_category")
    op.drop_column("products", "category")
