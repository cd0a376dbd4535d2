"""Which root the keyring is under, written at the next start; and the ends of its generations."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.create_table(
        "root_place",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("driver", sa.String, nullable=False),
        sa.Column("base", sa.Integer, nullable=False),
        sa.Column("oldest", sa.Integer, nullable=False),
        sa.Column("moving_to", sa.String),
        sa.Column("next_base", sa.Integer, nullable=False),
    )
    op.create_table(
        "ended_roots",
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("began_at", Moment, nullable=False),
        sa.Column("gone_at", Moment, nullable=False),
    )
