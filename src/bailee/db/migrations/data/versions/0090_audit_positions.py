"""How far the audit record was delivered to where it is streamed."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0090"
down_revision = "0089"


def upgrade() -> None:
    """One row for each kind of address."""
    op.create_table(
        "audit_positions",
        sa.Column("sink", sa.String, primary_key=True),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("at", Moment, nullable=False),
    )
