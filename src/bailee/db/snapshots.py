"""The table of keyring snapshots: copies of keys, which are to be gone by a time."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

key_snapshots = Table(
    "key_snapshots",
    data,
    Column("id", String, primary_key=True),
    Column("place", String, nullable=False),
    Column("generation", Whole, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("gone_at", Moment),
    check(),
)
"""`place`: its folder; empty: it is not known where it lies. `generation`: the root's newest when
it was taken. `gone_at`: since when it opens nothing."""
