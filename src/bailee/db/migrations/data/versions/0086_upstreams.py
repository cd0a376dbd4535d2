"""The region that an account is answered from, and use by upstream."""

import sqlalchemy as sa
from alembic import op

revision = "0086"
down_revision = "0084"

_KEYED = ("account", "person", "organisation", "team", "key_id", "client", "model", "channel")
_SUMS = (
    "requests", "errors", "refused", "aborted", "estimated", "unpriced", "input", "output",
    "cache_read", "cache_write_5m", "cache_write_1h", "thinking", "money", "milliseconds",
    "slowest",
)  # fmt: skip


def upgrade() -> None:
    """SQLite changes no table's key: it is made anew, and what was counted is taken into it."""
    op.add_column("accounts", sa.Column("residency", sa.String))
    op.drop_index("ix_usage_counts_person", "usage_counts")
    op.drop_index("ix_usage_counts_until", "usage_counts")
    op.rename_table("usage_counts", "usage_counts_before")
    op.create_table(
        "usage_counts",
        sa.Column("hour", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.String, primary_key=True) for name in (*_KEYED, "upstream")),
        sa.Column("own", sa.Integer, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    names = ", ".join(("hour", *_KEYED, "own", "until", *_SUMS))
    taken = f"SELECT {names}, '' FROM usage_counts_before"  # noqa: S608 - names of ours
    op.execute(f"INSERT INTO usage_counts ({names}, upstream) {taken}")
    op.drop_table("usage_counts_before")
    op.create_index("ix_usage_counts_until", "usage_counts", ["until"])
    op.create_index("ix_usage_counts_person", "usage_counts", ["person", "hour"])
