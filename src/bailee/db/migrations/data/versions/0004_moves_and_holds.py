"""Retention that follows a choice, legal holds, and the erasure of persons.

Sessions learn when their latest request began and with which plans and channels they were used. For
those that are there already, the index knows the first; of the second it knows the latest only.
"""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "sessions", sa.Column("uses", sa.String, nullable=False, server_default=sa.text("''"))
    )
    op.add_column(
        "sessions",
        sa.Column(
            "last_request",
            Moment,
            nullable=False,
            server_default=sa.text("'1970-01-01 00:00:00.000000'"),
        ),
    )
    op.execute("UPDATE sessions SET uses = plan || '/' || channel")
    op.execute(
        "UPDATE sessions SET last_request = coalesce(strftime('%Y-%m-%d %H:%M:%f000', (SELECT "
        "max(started) FROM exchanges WHERE session_id = sessions.id), 'unixepoch'), started)"
    )
    op.drop_index("ix_sessions_owner", "sessions")
    op.create_index("ix_sessions_owner", "sessions", ["owner", "id"])
    op.add_column("receipts", sa.Column("deferred_at", Moment))
    for column in ("owner", "part_of"):
        op.add_column("receipts", sa.Column(column, sa.String))
        op.create_index(f"ix_receipts_{column}", "receipts", [column])
    op.create_table(
        "retention_moves",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column("choice_at", Moment),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("moved", sa.Integer, nullable=False),
        sa.Column("seen_to", sa.String, nullable=False),
        sa.Column("finished_at", Moment, index=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, nullable=False, index=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("placed_at", Moment),
        sa.Column("released_at", Moment),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("person_id", sa.String, nullable=False, unique=True),
        sa.Column("account_id", sa.String),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("requested_by", sa.String, nullable=False),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("finished_at", Moment),
        sa.Column("receipt", sa.String),
    )
