"""Telemetry: its files, the state of issues, counts of what was dropped."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0010"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "telemetry_files",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("shelf", sa.String, nullable=False, index=True),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("first_ms", sa.Integer, nullable=False),
        sa.Column("last_ms", sa.Integer, nullable=False),
        sa.Column("expires_at", Moment, nullable=False, index=True),
    )
    op.create_table(
        "error_issues",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("first_seen", Moment, nullable=False),
        sa.Column("last_seen", Moment, nullable=False, index=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("changed_at", Moment),
        sa.Column("resolved_in", sa.String),
        sa.Column("regressed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "telemetry_dropped",
        sa.Column("day", sa.String, primary_key=True),
        sa.Column("protocol", sa.String, primary_key=True),
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("field", sa.String, primary_key=True),
        sa.Column("reason", sa.String, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
    )
