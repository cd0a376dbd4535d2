"""The table of what left by the gateway on days that are not summed up yet."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from bailee.db.metadata import data

egress_counts = Table(
    "egress_counts",
    data,
    Column("day", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("exchanges", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("received", Integer, nullable=False),
)
"""`day`: in UTC, as 2026-11-29. `sent`, `received`: bytes. Whose they were is not kept."""
