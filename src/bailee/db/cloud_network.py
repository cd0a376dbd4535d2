"""Table of what accounts allow and deny their cloud sessions' connections."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table, UniqueConstraint

from bailee.db.metadata import Moment, data

network_entries = Table(
    "network_entries",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("verdict", String, nullable=False),
    Column("entry", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    UniqueConstraint("account_id", "entry"),
)
"""`verdict`: allow or deny. `entry`: `host`, `*.host` or `host:port`."""
