"""Sessions as sums. The triggers that keep them are made, and what is there is summed up, when the
rows' checks are (`db.counting`); the index that was counted by is not needed any more.
"""

import sqlalchemy as sa
from alembic import op

from bailee.db.portable import Whole

revision = "0097"
down_revision = "0096"


def upgrade() -> None:
    op.create_table(
        "session_facts",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("plan", sa.String, primary_key=True),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("uses", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, primary_key=True),
        sa.Column("last_consent", Whole, primary_key=True, autoincrement=False),
        sa.Column("sessions", Whole, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_ends",
        sa.Column("data_class", sa.String, primary_key=True),
        sa.Column("plan", sa.String, primary_key=True),
        sa.Column("half_hour", sa.String, primary_key=True),
        sa.Column("sessions", Whole, nullable=False),
        sa.Column("exchanges", Whole, nullable=False),
        sa.Column("bytes", Whole, nullable=False),
        sa.Column("kept", Whole, nullable=False),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_sessions_facts", "sessions")
