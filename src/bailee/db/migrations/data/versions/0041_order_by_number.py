"""Choices and what was said are ordered by number: that of a choice's entry in the audit record.
What was deleted is remembered by digests. The last time that the home has seen is noted.

A record takes the number of its entry. A session takes the number of the last record that its owner
had made before its latest request began; at the same instant, the record counts as the later one.
"""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0041"
down_revision = "0040"


def _number(table: str, name: str) -> None:
    op.add_column(table, sa.Column(name, sa.Integer, nullable=False, server_default="0"))


def upgrade() -> None:
    _number("consent_records", "number")
    _number("accounts", "chosen_number")
    _number("accounts", "partner_number")
    _number("sessions", "last_consent")
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column("until", Moment, nullable=False),
    )
    op.create_table(
        "home_clock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("now", Moment, nullable=False),
        sa.Column("unset", sa.Float, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("held", sa.Float),
        sa.Column("told", sa.Float),
    )
    op.execute("DROP TRIGGER consent_records_no_update")
    op.execute(
        "UPDATE consent_records SET number = coalesce((SELECT number FROM audit "
        "WHERE kind = 'consent.recorded' AND subject = account_id "
        "AND json_extract(body, '$.record') = consent_records.id), rowid)"
    )
    op.execute(
        "CREATE TRIGGER consent_records_no_update BEFORE UPDATE ON consent_records "
        "BEGIN SELECT RAISE(ABORT, 'consent_records is append-only'); END"
    )
    for column, purpose in (("chosen", "training"), ("partner", "partner_programme")):
        op.execute(
            f"UPDATE accounts SET {column}_number = coalesce((SELECT max(number) "  # noqa: S608
            f"FROM consent_records WHERE account_id = accounts.id AND purpose = '{purpose}'), 0)"
        )
    op.execute(
        "UPDATE sessions SET last_consent = coalesce((SELECT max(number) FROM consent_records "
        "WHERE account_id = sessions.owner AND at < sessions.last_request), 0)"
    )
