"""What is counted of batches whose results were fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0107"
down_revision = "0106"


def upgrade() -> None:
    """Nothing was counted of any."""
    numbers = (
        "until", "requests", "errors", "estimated", "input", "output", "cache_read",
        "cache_write_5m", "cache_write_1h", "thinking",
    )  # fmt: skip
    op.create_table(
        "usage_batches",
        sa.Column("batch", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in numbers),
    )
    op.create_index("ix_usage_batches_until", "usage_batches", ["until"])
