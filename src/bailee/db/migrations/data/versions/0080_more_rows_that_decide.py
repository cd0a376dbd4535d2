"""Checks of the home's time, of tombstones, and of how far the spool is filed."""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0077"


def upgrade() -> None:
    for table in ("home_clock", "tombstones", "spool_positions"):
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
