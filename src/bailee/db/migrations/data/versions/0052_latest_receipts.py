"""Indexes for pages of receipts and erasures, the newest first: of everybody, and of an owner."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    latest = sa.text("requested_at DESC")
    op.create_index("ix_receipts_requested_at", "receipts", [latest, "id"])
    op.create_index("ix_receipts_owner_requested_at", "receipts", ["owner", latest, "id"])
    op.drop_index("ix_receipts_owner", "receipts")
    op.create_index("ix_erasures_requested_at", "erasures", [latest, "id"])
