"""The table of what left by the gateway on days that are not summed up yet."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from bailee.db.metadata import data
from bailee.db.portable import Whole

egress_counts = Table(
    "egress_counts",
    data,
    Column("day", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("exchanges", Whole, nullable=False),
    Column("sent", Whole, nullable=False),
    Column("received", Whole, nullable=False),
)
"""`day`: in UTC, as 2026-11-29. `sent`, `received`: bytes. Whose they were is not kept."""
