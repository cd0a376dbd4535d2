"""What became of each step of the sweep, the last time."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.create_table(
        "sweep_steps",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("succeeded_at", Moment),
        sa.Column("failed_at", Moment),
        sa.Column("error", sa.String),
        sa.Column("failures", sa.Integer, nullable=False),
    )
