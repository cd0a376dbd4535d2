"""What members ask for beyond their limits."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    """Nobody has asked yet."""
    op.create_table(
        "limit_increases",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("organisation", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("span", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("asked_at", Moment, nullable=False),
        sa.Column("decided_at", Moment),
        sa.Column("decided_by", sa.String),
        sa.Column("granted", sa.BigInteger),
        sa.Column("until", Moment, nullable=False),
    )
    for name in ("organisation", "person", "until"):
        op.create_index(f"ix_limit_increases_{name}", "limit_increases", [name])
