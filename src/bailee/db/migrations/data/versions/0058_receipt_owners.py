"""Whose it was that went under one key, so that each of them sees its receipt. Of what went before
nobody knows it any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    op.create_table(
        "receipt_owners",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("receipt_id", sa.String, sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_receipt_owners_latest",
        "receipt_owners",
        ["owner", sa.text("requested_at DESC"), "receipt_id"],
    )
