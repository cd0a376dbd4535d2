"""Tables of telemetry: its files, the state of issues, counts of what was dropped. No content.

An issue's id is a keyed digest; what it is about is in the encrypted files alone.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table

from bailee.db.metadata import Moment, data
from bailee.db.portable import Whole

telemetry_files = Table(
    "telemetry_files",
    data,
    Column("name", String, primary_key=True),
    Column("shelf", String, nullable=False, index=True),
    Column("rows", Whole, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("first_ms", Whole, nullable=False),
    Column("last_ms", Whole, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)
"""Compacted files. `first_ms`, `last_ms`: the times of their earliest and latest rows."""

error_issues = Table(
    "error_issues",
    data,
    Column("id", String, primary_key=True),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("changed_at", Moment),
    Column("resolved_in", String),
    Column("regressed", Boolean, nullable=False),
)
"""`state`: open, resolved or muted."""

telemetry_dropped = Table(
    "telemetry_dropped",
    data,
    Column("day", String, primary_key=True),
    Column("protocol", String, primary_key=True),
    Column("service", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("count", Whole, nullable=False),
)
"""How often a field was dropped, by a name that the registry knows, or "other"."""
