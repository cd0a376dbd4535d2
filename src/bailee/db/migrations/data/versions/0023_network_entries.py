"""What accounts allow and deny their cloud sessions' connections."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0023"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "network_entries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column(
            "account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False, index=True
        ),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.UniqueConstraint("account_id", "entry"),
    )
