"""One function through which every feature says what happened.

Rules kept here:

* Appended, never changed: the table refuses UPDATE and DELETE.
* No content: a body is a flat mapping of names to short strings, numbers and truth values.
* An append inside the caller's transaction (`connection`) stands or falls with it, so the record
  and what it records can't part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, Engine, insert, select

from bailee.clock import Clock
from bailee.db.audit import audit
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError

Body = Mapping[str, str | int | float | bool | None]

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry: its number in the record, when, what kind, about whom, and the particulars."""

    number: int
    at: datetime
    kind: str
    subject: str
    body: Body


class Ledger:
    """The audit record in the data database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(
        self, kind: str, subject: str, body: Body, *, connection: Connection | None = None
    ) -> None:
        """Add an entry: `kind` is `area.event`, `subject` an id, `body` flat and short.

        Raises:
            InputError: a value that is nested or longer than 300 characters.
            StorageError: the record can't be written; what it was to record must not go ahead.
        """
        for name, value in body.items():
            if not isinstance(value, str | int | float | bool | None) or (
                isinstance(value, str) and len(value) > _LONGEST
            ):
                raise InputError(f"the audit field {name!r} of {kind} is not a short plain value.")
        row = insert(audit).values(
            at=self._clock(), kind=kind, subject=subject, body=orjson.dumps(dict(body)).decode()
        )
        with storage_errors("the audit record"):
            if connection is not None:
                connection.execute(row)
            else:
                with self._engine.begin() as own:
                    own.execute(row)

    def entries(
        self, *, kind: str | None = None, subject: str | None = None, newest: int | None = None
    ) -> Iterator[Leaf]:
        """The entries in order, of one kind or about one subject; only the `newest` N if given."""
        query = select(audit).order_by(audit.c.number.desc())
        if kind is not None:
            query = query.where(audit.c.kind == kind)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if newest is not None:
            query = query.limit(newest)
        with storage_errors("the audit record"), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for row in reversed(rows):
            yield Leaf(row.number, row.at, row.kind, row.subject, orjson.loads(row.body))
