"""When each KEK goes, written a second time, in a row of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.create_table(
        "kek_ends",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_index("ix_kek_ends_epoch", "kek_ends", ["epoch"])
    op.execute("INSERT INTO kek_ends (id, epoch) SELECT id, epoch FROM keks")
