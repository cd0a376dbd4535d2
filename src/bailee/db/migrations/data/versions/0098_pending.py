"""Sign-ins under way, which one process had in memory."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0098"
down_revision = "0097"


def upgrade() -> None:
    """None is there yet."""
    op.create_table(
        "pending",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("asker", sa.LargeBinary, nullable=False),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id")),
        sa.Column("code", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("begun_at", Moment, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
        sa.UniqueConstraint("code", name="uq_pending_code"),
    )
    op.create_index("ix_pending_person_id", "pending", ["person_id"])
    op.create_index("ix_pending_until", "pending", ["until"])
    op.create_index("ix_pending_kind", "pending", ["kind", "asker", "begun_at"])
