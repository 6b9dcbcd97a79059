"""Products with a price."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("sku", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "price_cents", sa.Integer, sa.CheckConstraint("price_cents >= 0"), nullable=False
        ),
    )


def downgrade() -> None:
    op.drop_table("products")
