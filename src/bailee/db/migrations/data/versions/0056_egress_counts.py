"""How much left by the gateway on a day, until that is an entry of the audit record."""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    op.create_table(
        "egress_counts",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("exchanges", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
    )
