"""What was answered to who asked with an idempotency key, for a day. All of it is sealed."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, String, Table

from bailee.db.metadata import Moment, data

answers = Table(
    "answers",
    data,
    Column("id", String, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""`id`: a keyed digest of who asked and their key. `sealed`: a digest of what was asked and, when
it
was done, what was answered."""
