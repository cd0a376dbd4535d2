"""The table of what has been begun and waits for its answer: sign-ins under way.

Of a secret there is nothing here but a keyed digest. What a thing says is sealed: under a key that
is made of its secret, or under the key of the person whose it is.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.people import persons

pending = Table(
    "pending",
    data,
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", String, nullable=False),
    Column("asker", LargeBinary, nullable=False),
    Column("person_id", ForeignKey(persons.c.id), index=True),
    Column("code", LargeBinary, unique=True),
    Column("content", LargeBinary, nullable=False),
    Column("answer", LargeBinary),
    Column("begun_at", Moment, nullable=False),
    Column("until", Moment, nullable=False, index=True),
    check(),
)
"""`digest`: of the secret by which it is taken. `asker`: a keyed digest of who began it, an address
or somebody's id. `person_id`: whose it is, once that is known. `code`: the digest of a second
secret, which a person types. `answer`: what a person said to it; empty: no. Whoever has a row's
secret is let in, so it is checked."""

Index("ix_pending_kind", pending.c.kind, pending.c.asker, pending.c.begun_at)
