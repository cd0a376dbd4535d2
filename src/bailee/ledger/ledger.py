"""One function through which every feature says what happened.

Rules kept here:

* Appended, never changed: the table refuses DELETE, and UPDATE but for what an erasure needs: that
  sealed particulars go.
* No content: a body is a flat mapping of names to short strings, numbers and truth values, each of
  them declared (`particulars`).
* What is somebody's is sealed under their key before it reaches the database. Nothing is sealed
  for who was erased: it is left out.
* An entry that can't be read is noted (`damage`) and left out; the others are read all the same.
* An append inside the caller's transaction (`connection`) stands or falls with it, so the record
  and what it records can't part.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import orjson
from sqlalchemy import Connection, CursorResult, Engine, insert, select, update

from bailee.clock import Clock
from bailee.damage import Damages, why
from bailee.db.among import among
from bailee.db.audit import audit, audit_leaves
from bailee.db.engine import DbRow, Query, reading, storage_errors
from bailee.db.portable import driver_sql
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.ledger.particulars import Body, again_names, divide, sealed_names

_AT_ONCE: Final = 500
# By the driver itself: to bind values one by one costs more than to insert them.
_INSERT: Final = "INSERT INTO audit (at, kind, subject, body) VALUES (?, ?, ?, ?)"
_ENTRIES: Final = select(audit, audit_leaves.c.leaf).outerjoin(
    audit_leaves, audit_leaves.c.number == audit.c.number
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry: its number in the record, when, what kind, about whom, and the particulars.

    `erased`: the names of particulars that nobody can read any more, because whose they were was
    erased; they are None in `body`. `leaf`: its index in the tree; None: it has none yet.
    """

    number: int
    at: datetime
    kind: str
    subject: str
    body: Body
    erased: tuple[str, ...] = ()
    leaf: int | None = None


class Sealing(Protocol):
    """The keys under which particulars lie. `node.person_keys` implements it; the ledger calls it
    on the thread that appends or reads, any. A holder is who has such a key: a person's id, or that
    of an account that is no person's.
    """

    def seal(self, whose: str, plain: bytes, bound: bytes) -> tuple[str, bytes | None]:
        """Seal for whoever an id names, a person's or an account's: the holder, and the sealed
        bytes, which open only with the same `bound`. None: of this holder nothing is kept any more.
        """
        ...

    def open(self, holder: str, sealed: bytes, bound: bytes) -> bytes | None:
        """What was sealed; None when the holder's key has been destroyed.

        Raises:
            IntegrityError: the bytes were changed.
        """
        ...


class Append(Protocol):
    """`Ledger.append`, as those see it who append outside of transactions of their own."""

    def __call__(self, kind: str, subject: str, body: Body, *, whose: str | None = None) -> object:
        """See `Ledger.append`."""


class Ledger:
    """The audit record in the data database.

    Whatever opens a home has one, and everything that happens is appended by it, on the thread on
    which it happens. It owns the table, and has nothing in memory. It never changes an entry, gives
    no leaf and signs nothing: that is the sequencer's.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        sealing: Sealing,
        *,
        appended: Callable[[], None] = lambda: None,
        damages: Damages | None = None,
    ) -> None:
        """`appended` is called after each entry; `damages` is told which can't be read."""
        self._engine = engine
        self._clock = clock
        self.sealing = sealing
        """The keys under which particulars lie."""
        self._appended = appended
        self._damages = damages or Damages()

    def append(
        self,
        kind: str,
        subject: str,
        body: Body,
        *,
        whose: str | None = None,
        connection: Connection | None = None,
    ) -> int:
        """Add an entry: `kind` is `area.event`, `subject` an id, `body` flat, short and declared.
        Gives its number, which is higher than that of any before.

        `whose`: the person or the account whose particulars are in it, if any are.

        Raises:
            BaileeError: code `internal`: something in it is not declared, or is somebody's and
                nobody is named.
            StorageError: the record can't be written; what it was to record must not go ahead.
        """
        row = self._row(kind, subject, body, whose)
        with storage_errors("the audit record"):
            if connection is not None:
                number = _number(connection.execute(insert(audit), row))
            else:
                with self._engine.begin() as own:
                    number = _number(own.execute(insert(audit), row))
        self._appended()
        return number

    def append_all(
        self,
        kind: str,
        entries: Iterable[tuple[str, Body]],
        connection: Connection | None = None,
    ) -> None:
        """Add entries of one kind, each a subject and a body, all or none: within a transaction of
        the caller's, if it is given. Nothing in them is anybody's. Errors as in `append`.
        """
        at = self._clock()
        rows = []
        for subject, body in entries:
            plain, hidden = divide(kind, subject, body)
            if hidden:
                raise BaileeError(f"{kind} has particulars of somebody, and does not say whose.")
            rows.append((kind, subject, orjson.dumps(plain).decode()))
        if rows:
            of_it = audit.c.at.type.dialect_impl(self._engine.dialect)
            as_stored = of_it.bind_processor(self._engine.dialect)
            stored = as_stored(at) if as_stored is not None else at
            values = [(stored, *row) for row in rows]
            with storage_errors("the audit record"):
                if connection is not None:
                    connection.exec_driver_sql(driver_sql(connection, _INSERT), values)
                else:
                    with self._engine.begin() as own:
                        own.exec_driver_sql(driver_sql(own, _INSERT), values)
            self._appended()

    def entries(
        self,
        *,
        kind: str | None = None,
        subject: str | None = None,
        whose: str | None = None,
        newest: int | None = None,
    ) -> Iterator[Leaf]:
        """The entries in order, of one kind, about one subject or with particulars of one holder;
        only the `newest` N if given.
        """
        query = _matching(kind, subject)
        if whose is not None:
            query = query.where(audit.c.whose == whose)
        yield from self._leaves(reversed(self._rows(query.limit(newest))))

    def latest(
        self,
        most: int,
        *,
        kind: str | None = None,
        subject: str | None = None,
        before: int | None = None,
    ) -> list[Leaf]:
        """At most so many entries, the newest first: of one kind, about one subject, with numbers
        below `before`.
        """
        query = _matching(kind, subject).limit(most)
        if before is not None:
            query = query.where(audit.c.number < before)
        return list(self._leaves(self._rows(query)))

    def latest_about(self, most: int, kinds: Iterable[str], subjects: Iterable[str]) -> list[Leaf]:
        """At most so many entries of these kinds about any of these subjects, the newest first, by
        one question.
        """
        query = _matching(None, None).limit(most)
        query = query.where(among(audit.c.kind, kinds), among(audit.c.subject, subjects))
        return list(self._leaves(self._rows(query)))

    def get(self, number: int) -> Leaf:
        """The entry with this number.

        Raises:
            InputError: code `not_found`, there is none.
            IntegrityError: it can't be read.
        """
        there = select(audit.c.number).where(audit.c.number == number)
        if not self._rows(there):
            raise InputError(f"the audit record has no entry {number}.", code="not_found")
        found = list(self._leaves(self._rows(_ENTRIES.where(audit.c.number == number))))
        if not found:
            raise IntegrityError(
                f"entry {number} of the audit record can't be read.",
                hint="`bailee verify` says what is damaged; the log has what it commits to",
            )
        return found[0]

    def _leaves(self, rows: Iterable[DbRow]) -> Iterator[Leaf]:
        """What the rows say. One that can't be read is noted, and left out."""
        return self._damages.each(rows, self._leaf, lambda row: f"audit entry {row.number}")

    def _rows(self, query: Query) -> Sequence[DbRow]:
        with storage_errors("the audit record"), reading(self._engine) as connection:
            try:
                return connection.execute(query).all()
            except (ValueError, TypeError):  # of a column of one of them, and it does not say which
                return self._one_by_one(connection, query)

    def _one_by_one(self, connection: Connection, query: Query) -> list[DbRow]:
        """The same, but for the rows that can't be read."""
        found: list[DbRow] = []
        for number in connection.execute(query.with_only_columns(audit.c.number)).scalars().all():
            try:
                found += connection.execute(_ENTRIES.where(audit.c.number == number)).all()
            except (ValueError, TypeError) as error:
                self._damages.note(f"audit entry {number}", why(error))
        return found

    def about(self, subjects: Sequence[str]) -> Iterator[Leaf]:
        """The entries about any of these subjects, in no order in particular."""
        for start in range(0, len(subjects), _AT_ONCE):
            query = _ENTRIES.where(among(audit.c.subject, subjects[start : start + _AT_ONCE]))
            yield from self._leaves(self._rows(query))

    def of_members(self, kinds: Sequence[str], person_id: str) -> Iterator[Leaf]:
        """The entries of these kinds about a person in any organisation, by whose subject it is
        `org_…/per_…`; in no order in particular.
        """
        theirs = audit.c.subject.endswith("/" + person_id, autoescape=True)
        yield from self._leaves(self._rows(_ENTRIES.where(among(audit.c.kind, kinds), theirs)))

    def _row(self, kind: str, subject: str, body: Body, whose: str | None) -> dict[str, object]:
        plain, hidden = divide(kind, subject, body)
        holder, sealed = None, None
        if hidden:
            if whose is None:
                raise BaileeError(f"{kind} has particulars of somebody, and does not say whose.")
            for name in again_names(kind):
                if name in hidden:
                    plain[name] = seal_again(self.sealing, whose, kind, subject, hidden.pop(name))
        if hidden and whose is not None:
            holder, sealed = self.sealing.seal(whose, orjson.dumps(hidden), bound(kind, subject))
        return {
            "at": self._clock(),
            "kind": kind,
            "subject": subject,
            "body": orjson.dumps(plain).decode(),
            "whose": holder,
            "sealed": sealed,
        }

    def blank(self, names: Callable[[str], bool]) -> int:
        """Destroy the sealed particulars of every entry in which a text is one that `names`
        somebody, whosever the entry is, and the salt of what its leaf says of them; how many
        entries. Kind, time and subject stay.

        Raises:
            StorageError: the record can't be read or written; call again.
        """
        found = self.naming(names)
        self._blank(found)
        return len(found)

    def naming(self, names: Callable[[str], bool]) -> list[int]:
        """The numbers of the entries in whose sealed particulars is a text that `names` somebody.

        Raises:
            StorageError: the record can't be read.
        """
        columns = (audit.c[name] for name in ("number", "kind", "subject", "whose", "sealed"))
        query = select(*columns).where(audit.c.sealed.is_not(None))
        found = []
        with storage_errors("the audit record"), reading(self._engine) as connection:
            for row in connection.execute(query):
                try:
                    opened = self._opened(row) or {}
                except IntegrityError:
                    continue  # changed bytes name nobody
                if any(names(text) for text in opened.values()):
                    found.append(row.number)
        return found

    def _blank(self, numbers: Iterable[int]) -> None:
        with storage_errors("the audit record"), self._engine.begin() as connection:
            for number in numbers:
                of_it = update(audit).where(audit.c.number == number)
                connection.execute(of_it.values(sealed=None))
                of_leaf = update(audit_leaves).where(audit_leaves.c.number == number)
                connection.execute(of_leaf.values(sealed_salt=None))

    def _leaf(self, row: DbRow) -> Leaf:
        body = orjson.loads(row.body)
        for name in again_names(row.kind):
            body.pop(name, None)  # ciphertext, for who restores
        erased: tuple[str, ...] = ()
        if row.whose is not None:
            opened = self._opened(row)
            if opened is None:
                erased = tuple(n for n in sealed_names(row.kind) if n in body and body[n] is None)
            else:
                body |= opened
        return Leaf(row.number, row.at, row.kind, row.subject, body, erased, row.leaf)

    def _opened(self, row: DbRow) -> dict[str, str] | None:
        if row.sealed is None:
            return None
        plain = self.sealing.open(row.whose, row.sealed, bound(row.kind, row.subject))
        return None if plain is None else orjson.loads(plain)


def seal_again(sealing: Sealing, whose: str, kind: str, subject: str, text: str) -> str | None:
    """What a restore needs of somebody's, as it stands in an entry; None: they were erased."""
    _, sealed = sealing.seal(whose, text.encode(), _bound_again(kind, subject))
    return None if sealed is None else base64.urlsafe_b64encode(sealed).decode()


def open_again(sealing: Sealing, holder: str, kind: str, subject: str, value: str) -> str | None:
    """What stands in an entry for a restore; None: the holder's key is not there any more.

    Raises:
        IntegrityError: it was changed.
    """
    plain = sealing.open(holder, base64.urlsafe_b64decode(value), _bound_again(kind, subject))
    return None if plain is None else plain.decode()


def _bound_again(kind: str, subject: str) -> bytes:
    return bound(kind, subject) + b"\x00again"


def _matching(kind: str | None, subject: str | None) -> Query:
    """The entries of one kind, about one subject, the newest first."""
    query = _ENTRIES.order_by(audit.c.number.desc())
    if kind is not None:
        query = query.where(audit.c.kind == kind)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    return query


def _number(result: CursorResult[tuple[()]]) -> int:
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def bound(kind: str, subject: str) -> bytes:
    """What sealed particulars are bound to: in another entry they don't open."""
    return b"bailee/audit/1\x00" + f"{kind}\x00{subject}".encode()
