"""By what an exchange is known to go on with a session when its client does not say so, so that it
does after a restart.
"""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0060"


def upgrade() -> None:
    op.create_table(
        "conversation_links",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.id"), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_conversation_links_session_id", "conversation_links", ["session_id"])
