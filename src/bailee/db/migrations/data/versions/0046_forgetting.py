"""Counts of what went on with a deleted session, and was not kept. And of which generation the root
was when a key was destroyed: by it, and by no clock, is told which rotation came after.
"""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    op.create_table(
        "unkept",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("clause", sa.String, primary_key=True),
        sa.Column("exchanges", sa.Integer, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("last", Moment, nullable=False),
    )
    op.add_column("receipts", sa.Column("generation", sa.Integer))
