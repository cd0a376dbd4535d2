"""Rows that let somebody in are authenticated, too: a column for it.

The rows that are there get theirs when this has been done (`bailee.db.checks`), once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"

_TABLES = ("persons", "memberships", "providers", "identities", "passkeys", "web_sessions")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
