"""Which home a database is of, and its mark: one row in each of the two. See `home.belonging`."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table

from bailee.db.metadata import data, keys
from bailee.db.portable import Whole


def _identity(metadata: MetaData, *more: Column[int]) -> Table:
    return Table(
        "identity",
        metadata,
        Column("id", Whole, primary_key=True),
        Column("home", String, nullable=False),
        Column("mark", Whole, nullable=False),
        *more,
    )


data_identity = _identity(data, Column("sure", Whole, nullable=False))
"""`sure`: the mark that every part of the home was seen to have."""

keys_identity = _identity(keys)
