"""Table of stored Git connections. What proves anything to a git server is in `sealed` alone."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from bailee.db.metadata import Moment, data

git_connections = Table(
    "git_connections",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("place", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)
"""`place`: a host, or a host and an owner on it. `sealed`: under a key of the connection's own."""
