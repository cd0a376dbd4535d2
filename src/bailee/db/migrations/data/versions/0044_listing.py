"""Indexes for pages of sessions, the latest first: of everybody, and of an owner."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    latest = sa.text("last_activity DESC")
    op.create_index("ix_sessions_latest", "sessions", [latest, "id"])
    op.create_index("ix_sessions_owner_latest", "sessions", ["owner", latest, "id"])
