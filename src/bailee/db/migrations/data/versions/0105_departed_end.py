"""Until when it is known of a session that is gone that its id was one."""

import sqlalchemy as sa
from alembic import op

revision = "0105"
down_revision = "0104"


def upgrade() -> None:
    """Of those that there are it is not known what names them, so they stay."""
    op.add_column("departed_sessions", sa.Column("until", sa.BigInteger))
    op.create_index("ix_departed_sessions_until", "departed_sessions", ["until"])
