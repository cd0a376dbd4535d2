"""Which home the keyring is of, written at the next start; and keys that were found damaged."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0040"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("home", sa.String, nullable=False),
        sa.Column("mark", sa.Integer, nullable=False),
    )
    op.create_table(
        "damaged_keys",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("found_at", Moment, nullable=False),
    )
