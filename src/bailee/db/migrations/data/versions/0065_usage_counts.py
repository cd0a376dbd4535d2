"""What is used of models, by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0063"

_DIMENSIONS = ("account", "person", "organisation", "key_id", "client", "model", "channel")
_SUMS = (
    "requests", "errors", "refused", "aborted", "estimated", "unpriced", "input", "output",
    "cache_read", "cache_write_5m", "cache_write_1h", "thinking", "money", "milliseconds",
    "slowest",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "usage_counts",
        sa.Column("hour", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.String, primary_key=True) for name in _DIMENSIONS),
        sa.Column("own", sa.Integer, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    op.create_index("ix_usage_counts_until", "usage_counts", ["until"])
    op.create_index("ix_usage_counts_person", "usage_counts", ["person", "hour"])
