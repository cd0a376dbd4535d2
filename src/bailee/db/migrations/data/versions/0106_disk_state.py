"""Whether little is free where the stores of a home lie."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0106"
down_revision = "0105"


def upgrade() -> None:
    """Nobody has said so yet."""
    op.create_table(
        "disk_state",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("low", sa.Boolean, nullable=False),
        sa.Column("at", Moment, nullable=False),
    )
