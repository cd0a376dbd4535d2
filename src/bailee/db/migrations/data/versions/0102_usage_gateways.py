"""Whose reservations are, and which batches of counts were written."""

import sqlalchemy as sa
from alembic import op

revision = "0102"
down_revision = "0098"


def upgrade() -> None:
    """Those that there are name nobody, and end by their time."""
    op.add_column(
        "usage_reservations", sa.Column("gateway", sa.String, nullable=False, server_default="")
    )
    op.create_table(
        "usage_gateways",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("counted", sa.BigInteger, nullable=False),
    )
