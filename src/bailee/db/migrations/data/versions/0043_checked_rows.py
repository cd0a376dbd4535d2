"""Rows that decide something are authenticated: a column for it.

The rows that are there get theirs when this has been done (`bailee.db.checks`), once. Consent
records are as unchangeable as they were, but for that column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"

_TABLES = (
    "sessions",
    "holds",
    "erasures",
    "retention_moves",
    "receipts",
    "feedback_reports",
    "cloud_sessions",
    "cloud_holdings",
    "accounts",
    "api_keys",
    "consent_records",
)
_RECORD = (
    *("id", "account_id", "at", "old", "new", "notice", "language", "source", "purpose"),
    *("notice_version", "actor", "number"),
)


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
    same = " AND ".join(f'NEW."{name}" IS OLD."{name}"' for name in _RECORD)
    op.execute("DROP TRIGGER consent_records_no_update")
    op.execute(
        "CREATE TRIGGER consent_records_no_update BEFORE UPDATE ON consent_records "
        f"WHEN NOT ({same}) "
        "BEGIN SELECT RAISE(ABORT, 'consent_records is append-only'); END"
    )
