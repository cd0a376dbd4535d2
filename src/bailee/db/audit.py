"""The tables of the audit record: append-only, and they hold no content."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from bailee.db.metadata import Moment, data
from bailee.db.portable import Whole

audit = Table(
    "audit",
    data,
    Column("number", Whole, primary_key=True, autoincrement=True),
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

audit_leaves = Table(
    "audit_leaves",
    data,
    Column("leaf", Whole, primary_key=True, autoincrement=False),
    Column("number", Whole, ForeignKey("audit.number"), nullable=False, unique=True),
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary),
    Column("sealed_salt", LargeBinary),
)
"""Which leaf of the tree an entry is, counted from 0, and the salt of its commitment. `digest`: the
commitment to what is sealed of it, whose own salt lies in `sealed_salt`, sealed as that is. A
trigger lets `sealed_salt` be emptied, and nothing else be changed."""

audit_positions = Table(
    "audit_positions",
    data,
    Column("sink", String, primary_key=True),
    Column("next", Whole, nullable=False),
    Column("at", Moment, nullable=False),
)
"""How far the record was delivered, by where to: `next` is the first leaf that was not, or is not
known to be."""

UNSEALED: Final = "?"
"""`whose` of an entry from before particulars were sealed, until the next start seals them."""
