"""Exchanges and sums of bytes are checked, and a tombstone is found by either of two columns."""

import sqlalchemy as sa
from alembic import op

revision = "0084"
down_revision = "0083"


def upgrade() -> None:
    for table in ("exchanges", "stored"):
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
    op.add_column("tombstones", sa.Column("again", sa.LargeBinary))
    op.execute("UPDATE tombstones SET again = digest")
    op.create_index("ix_tombstones_again", "tombstones", ["again"])
