"""Feedback: bug reports, the survey's counts, and keys that open the ingest alone."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "feedback_reports",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, nullable=False, index=True),
        sa.Column("person_id", sa.String, index=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("sent_as", sa.LargeBinary, unique=True),
        sa.Column("parts", sa.String, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False, index=True),
        sa.Column("period", sa.String, nullable=False),
        sa.Column("clause", sa.String, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("issue", sa.String),
        sa.Column("changed_at", Moment),
    )
    op.create_table(
        "survey_counts",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("answer", sa.String, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.add_column("api_keys", sa.Column("scope", sa.String, nullable=False, server_default="full"))
