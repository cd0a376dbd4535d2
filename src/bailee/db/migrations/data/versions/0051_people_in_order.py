"""Indexes for pages of people and organisations, the oldest first."""

from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.create_index("ix_persons_created_at", "persons", ["created_at", "id"])
    op.create_index("ix_organisations_created_at", "organisations", ["created_at", "id"])
