"""Indexes for pages of receipts and erasures, the newest first: of everybody, and of an owner."""

from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    op.create_index("ix_receipts_requested_at", "receipts", ["requested_at", "id"])
    op.create_index("ix_receipts_owner_requested_at", "receipts", ["owner", "requested_at", "id"])
    op.drop_index("ix_receipts_owner", "receipts")
    op.create_index("ix_erasures_requested_at", "erasures", ["requested_at", "id"])
