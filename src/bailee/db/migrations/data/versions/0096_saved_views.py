"""Filters of lists that people keep under a name."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0096"
down_revision = "0095"


def upgrade() -> None:
    """None is there yet."""
    op.create_table(
        "saved_views",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id")),
        sa.Column("list", sa.String, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("query", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    op.create_index("ix_saved_views_person_id", "saved_views", ["person_id"])
