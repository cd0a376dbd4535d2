"""The table of the audit record: append-only, and it holds no content."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from bailee.db.metadata import Moment, data

audit = Table(
    "audit",
    data,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False, index=True),
    Column("subject", String, nullable=False, index=True),
    Column("body", String, nullable=False),
    sqlite_autoincrement=True,
)
