"""Cloud sessions: their state, and what is kept of them, sealed."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "cloud_sessions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("zero_retention", sa.Boolean, nullable=False),
        sa.Column("agent", sa.String, nullable=False),
        sa.Column("network", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("end", sa.String),
        sa.Column("problem", sa.String),
        sa.Column("security", sa.String),
        sa.Column("transcript", sa.String),
        sa.Column("created_at", Moment, nullable=False, index=True),
        sa.Column("started_at", Moment),
        sa.Column("last_activity", Moment, nullable=False),
        sa.Column("ended_at", Moment),
    )
    op.create_table(
        "cloud_holdings",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, primary_key=True),
        sa.Column("period", sa.String, nullable=False),
        sa.Column("clause", sa.String, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("expires_at", Moment, nullable=False, index=True),
        sa.Column("pieces", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
    )
    op.create_table(
        "cloud_pieces",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
