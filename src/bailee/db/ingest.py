"""The table of the ingest's shares: how much each account sent. No content."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from bailee.db.metadata import Moment, data
from bailee.db.portable import Whole

received = Table(
    "received",
    data,
    Column("data_class", String, primary_key=True),
    Column("account_id", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("period", String, primary_key=True),
    Column("items", Whole, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)
"""Of a class, an account, a day of receipt and a period: how many items, and their bytes as they
came. A row goes when what it counts is past its time, and with its account."""
