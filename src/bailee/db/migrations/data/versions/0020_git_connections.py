"""Git connections of accounts, for cloud sessions."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0020"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "git_connections",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column(
            "account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False, index=True
        ),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("place", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
    )
