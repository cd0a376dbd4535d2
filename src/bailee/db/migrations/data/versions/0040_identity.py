"""Which home the database is of. The row is written at the next start."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0035"


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("home", sa.String, nullable=False),
        sa.Column("mark", sa.Integer, nullable=False),
        sa.Column("sure", sa.Integer, nullable=False),
    )
