"""Tables of cloud sessions. What was asked, said and changed in one is in a blob, sealed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

cloud_sessions = Table(
    "cloud_sessions",
    data,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False, index=True),
    Column("by", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("zero_retention", Boolean, nullable=False),
    Column("agent", String, nullable=False),
    Column("network", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("end", String),
    Column("problem", String),
    Column("security", String),
    Column("transcript", String),
    Column("created_at", Moment, nullable=False, index=True),
    Column("started_at", Moment),
    Column("last_activity", Moment, nullable=False),
    Column("ended_at", Moment),
    check(),
)
"""`owner`: the account. `by`: who asked. `end`: why it ended. `problem`: the code of an error that
ended it. `security`: what isolated its machine. `transcript`: its session in the vault."""

cloud_holdings = Table(
    "cloud_holdings",
    data,
    Column("session_id", String, primary_key=True),
    Column("data_class", String, primary_key=True),
    Column("period", String, nullable=False),
    Column("clause", String, nullable=False),
    Column("document", String, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("pieces", Whole, nullable=False),
    Column("bytes", Whole, nullable=False),
    check(),
)
"""What is kept of a session, by data class: each under a key of its own, until `expires_at`."""

cloud_pieces = Table(
    "cloud_pieces",
    data,
    Column("session_id", String, primary_key=True),
    Column("data_class", String, primary_key=True),
    Column("number", Whole, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
