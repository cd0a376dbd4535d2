"""How much each account sent to the ingest. What came before is nobody's, and counts for nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    op.create_table(
        "received",
        sa.Column("data_class", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, primary_key=True),
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("period", sa.String, primary_key=True),
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_received_expires_at", "received", ["expires_at"])
