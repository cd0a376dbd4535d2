"""What is used of limits is checked; what is reserved is summed; a place without a check goes.

What a session says next is stored anew where there is no place of what it said before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0087"
down_revision = "0086"

_PLACE = 100
"""Bytes that count for a place on its account's share of the disk."""


def upgrade() -> None:
    op.add_column("usage_windows", sa.Column("mac", sa.LargeBinary))
    op.add_column("usage_reservations", sa.Column("again", sa.BigInteger))
    op.execute("UPDATE usage_reservations SET again = until + tokens + money")
    op.execute(
        f"UPDATE stored SET living = living - {_PLACE} * (SELECT count(*) FROM prefixes "  # noqa: S608
        "JOIN sessions ON sessions.id = prefixes.session_id "
        "WHERE prefixes.position < 4294967296 AND sessions.owner = stored.owner)"
    )
    op.execute("DELETE FROM prefixes WHERE position < 4294967296")
