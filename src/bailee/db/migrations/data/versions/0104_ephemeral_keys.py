"""Keys that end with a cloud session or a server's run."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0104"
down_revision = "0103"


def upgrade() -> None:
    """Those that there were ended with their process."""
    op.create_table(
        "ephemeral_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("zero_retention", sa.Boolean, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("session", sa.String),
        sa.Column("run", sa.String),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    for name in ("account_id", "session", "run", "expires_at"):
        op.create_index(f"ix_ephemeral_keys_{name}", "ephemeral_keys", [name])
