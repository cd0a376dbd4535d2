"""The table of the audit record: append-only, and it holds no content."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from bailee.db.metadata import Moment, data

audit = Table(
    "audit",
    data,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False, index=True),
    Column("subject", String, nullable=False, index=True),
    Column("body", String, nullable=False),
    Column("whose", String, index=True),
    Column("sealed", LargeBinary),
    sqlite_autoincrement=True,
)
"""`body`: JSON; what is somebody's stands in it as null and lies in `sealed`, under the key of
`whose`: a person's id or an account's. A trigger lets `sealed` be emptied, and nothing else be
changed."""

UNSEALED: Final = "?"
"""`whose` of an entry from before particulars were sealed, until the next start seals them."""
