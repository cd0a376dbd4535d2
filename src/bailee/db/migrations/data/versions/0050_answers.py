"""What was answered to who asked with an idempotency key, for a day."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("at", Moment, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_answers_at", "answers", ["at"])
