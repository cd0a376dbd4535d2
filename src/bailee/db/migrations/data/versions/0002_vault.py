"""The vault's index and the receipts of what was destroyed."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column("client_session", sa.LargeBinary),
        sa.Column("data_class", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("started", Moment, nullable=False),
        sa.Column("last_activity", Moment, nullable=False),
        sa.Column("exchanges", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("expires_at", Moment, nullable=False, index=True),
        sa.Column("period", sa.String, nullable=False),
        sa.Column("clause", sa.String, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("cache_creation_input_tokens", sa.Integer, nullable=False),
        sa.Column("cache_read_input_tokens", sa.Integer, nullable=False),
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, nullable=False),
        sa.Column("expiry_day", sa.String, nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
    )
    op.create_table(
        "exchanges",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column(
            "segment_id", sa.String, sa.ForeignKey("segments.id"), nullable=False, index=True
        ),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("exchange_id", sa.String, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
    )
    op.create_table(
        "prefixes",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.id"), primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("exchange", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool_positions",
        sa.Column("file", sa.String, primary_key=True),
        sa.Column("next", sa.Integer, nullable=False),
    )
    op.create_table(
        "departed_sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False, index=True),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("inaccessible_at", Moment),
        sa.Column("key_destroyed_at", Moment),
        sa.Column("backups_unrecoverable_at", Moment),
        sa.Column("reclaimed_at", Moment),
    )
    op.create_table(
        "receipt_segments",
        sa.Column("receipt_id", sa.String, sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("segment_id", sa.String, primary_key=True, index=True),
    )
    op.create_index("ix_sessions_client_session", "sessions", ["client_session"])
    op.create_index("uq_exchanges_number", "exchanges", ["session_id", "number"], unique=True)
