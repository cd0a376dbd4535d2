"""Sessions that their person chose to keep beyond their time, and accounts in which nobody may."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0067"
down_revision = "0066"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("kept_until", Moment))
    op.add_column(
        "accounts", sa.Column("no_keeping", sa.Boolean, nullable=False, server_default="0")
    )
    op.create_table(
        "kept_sessions",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.id"), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("period", sa.String, nullable=False),
        sa.Column("clause", sa.String, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("released_at", Moment),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_kept_sessions_owner", "kept_sessions", ["owner"])
    op.create_index("ix_kept_sessions_state", "kept_sessions", ["state"])
