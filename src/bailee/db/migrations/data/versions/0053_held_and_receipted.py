"""Holds on whatever is kept; on receipts, what was destroyed and who asked."""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    op.drop_index("ix_holds_session_id", "holds")
    op.execute("ALTER TABLE holds RENAME COLUMN session_id TO subject")
    op.create_index("ix_holds_subject", "holds", ["subject"])
    said = sa.Column("data_class", sa.String, nullable=False, server_default="transcript")
    op.add_column("receipts", said)
    op.add_column("receipts", sa.Column("by", sa.String))
    # Sessions and reports had receipts before.
    op.execute("UPDATE receipts SET data_class = 'feedback_report' WHERE kind LIKE 'report%'")
