"""Bug reports: kept under a key of their own, read, withdrawn, and gone after their time.

Rules kept here:

* A report has a data key, and is sealed with it (AES-256-GCM) before it is written. It is durable
  before `keep` returns.
* What it is kept on was decided by the policy for whoever sent it; it is kept so long from receipt,
  whatever they choose afterwards.
* Past its time, or withdrawn, it is read by nobody from that moment on. Then its key is destroyed,
  then its bytes go, then its row; a receipt follows each step, and a crash is found by it.
* A legal hold on a report defers its end (`keeping`). A report is a copy that somebody gave on
  purpose, and no session's hold is on it.
* What a report is withdrawn with follows from its id and a key of the keyring; it is kept nowhere.

Rows: F1, F4, R5, R6.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, cast

import zstandard
from sqlalchemy import (
    ColumnElement,
    Engine,
    Row,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    select,
    true,
    update,
)

from bailee.clock import Clock
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.feedback import feedback_reports as table
from bailee.db.pages import cut, following, place
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.feedback.parts import Parts
from bailee.ingest.shares import ReceivedCounts, Share, Standing
from bailee.json_lines import line
from bailee.keeping.ending import Ending
from bailee.keeping.holds import Holds
from bailee.keeping.keeper import KeyOf, Owner
from bailee.keeping.receipts import Due, Receipt, Receipts, is_deferred
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, associated, seal, unseal
from bailee.ledger import Append
from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms
from bailee.vault.objects import Objects
from bailee.vault.packing import pack, unpack

DATA_CLASS: Final = "feedback_report"
STATES: Final = ("open", "linked", "closed")
WITHDRAWAL: Final = "report_withdrawal"
ERASURE: Final = "report_erasure"
EXPIRY: Final = "report_expiry"
BY_SECRET: Final = "whoever_has_the_secret"  # noqa: S105
"""Who asked, of a report that was withdrawn by its secret: whoever has it."""

_ARRIVING: Final = "arriving"
_SCHEMA: Final = 1
_LARGEST: Final = 1 << 28
_PORTION: Final = 100
_WHAT: Final = "the reports"
_DEFERRED: Final = is_deferred(table.c.id, literal(DATA_CLASS))


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends a report: an account's key, and the person it speaks for, if it does."""

    account_id: str
    person_id: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose reports are meant: a person's, through whichever account (None) or through one; without
    a person, those that keys of the account sent that speak for nobody.
    """

    account_id: str | None
    person_id: str | None

    @property
    def condition(self) -> ColumnElement[bool]:
        """As the database understands it."""
        person = table.c.person_id
        of = person.is_(None) if self.person_id is None else person == self.person_id
        if self.account_id is None:
            return of if self.person_id is not None else false()
        return of & (table.c.account_id == self.account_id)


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a report beside its content. `parts`: the names of what is in it."""

    id: str
    account_id: str
    person_id: str | None
    key_id: str
    parts: tuple[str, ...]
    bytes: int
    received_at: datetime
    expires_at: datetime
    terms: Terms
    state: str
    issue: str | None
    changed_at: datetime | None

    @property
    def whose(self) -> str:
        """Whose it is: the person who sent it, else the account."""
        return self.person_id or self.account_id


class Reports:
    """The reports of one home, a `keeping.keeper.Keeper`. Its methods may be called from any
    thread.

    A home's wiring makes it. It owns their rows, their sealed bytes and their keys. It asks nobody
    whether an actor may: operations do that, before; and it decides no terms.
    """

    name: Final = "reports"
    what: Final = "report"
    prefix: Final = "fb_"

    def __init__(
        self,
        engine: Engine,
        objects: Objects,
        *,
        keyring: Keyring,
        clock: Clock,
        record: Append,
        holds: Holds,
        receipts: Receipts,
    ) -> None:
        self._engine = engine
        self._objects = objects
        self._keyring = keyring
        self._clock = clock
        self._record = record
        self._holds = holds
        self._receipts = receipts
        self._ending = Ending(
            self, frozenset({WITHDRAWAL, ERASURE, EXPIRY}), keyring, holds, receipts
        )
        self.lock = threading.RLock()  # while a report is written, or destroyed
        holds.register(self)
        self.received: Final = ReceivedCounts(engine, DATA_CLASS, clock(), self._resting)
        self._sent_key = keyring.secret("feedback/sent")
        self._withdrawal_key = keyring.secret("feedback/withdrawal")

    # -- keeping ---------------------------------------------------------------------------------

    def keep(
        self,
        origin: Origin,
        parts: Parts,
        terms: Terms,
        sent_as: str | None,
        *,
        still: Callable[[], bool] = lambda: True,
    ) -> Report:
        """Keep a report on these terms. `sent_as`: what the client calls it; the same again gives
        the report that is there, and another under that name is refused. `still`: whether its
        sender is there yet, asked at the last moment: who is erased while their report is on its
        way leaves none.

        Raises:
            InputError: code `authentication`, the sender is gone; `idempotency_key`, there is
                another report of that name.
            StorageError: it can't be kept; nothing is left of it after the next start.
        """
        with self.lock:
            if not still():
                raise InputError("the key has been revoked.", code="authentication")
            mark = None if sent_as is None else self._mark(origin, sent_as)
            before = None if mark is None else self._select(table.c.sent_as == mark)
            if before:
                self._demand_same(before[0], parts)
                return before[0]
            report_id = "fb_" + os.urandom(12).hex()
            now = self._clock()
            until = expires_at(now, terms.period)
            plain = zstandard.compress(pack(cast("dict[str, Any]", parts)), 3)
            key = self._keyring.dek(_subject(report_id), DATA_CLASS, until).key
            sealed = seal(key, plain, _data(report_id), os.urandom(NONCE_BYTES))
            row = {
                "id": report_id,
                "account_id": origin.account_id,
                "person_id": origin.person_id,
                "key_id": origin.key_id,
                "sent_as": mark,
                "parts": " ".join(parts),
                "bytes": len(sealed),
                "received_at": now,
                "expires_at": until,
                "period": terms.period,
                "clause": terms.clause,
                "document": terms.document,
                "state": _ARRIVING,
            }
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(insert(table).values(**row))
            try:
                self._objects.put(report_id, sealed)
                self._arrived(report_id, terms)
            except BaileeError:
                self._discard(report_id)
                raise
            tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
            self.received.add(origin.account_id, Standing(1, len(sealed)), now, tomorrow)
            with suppress(StorageError):  # then the next sweep writes it
                self.received.write(now)
            return self.get(report_id, now)

    def _arrived(self, report_id: str, terms: Terms) -> None:
        self._record("report.received", report_id, {"clause": terms.clause, "for": terms.period})
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(update(table).where(table.c.id == report_id).values(state=STATES[0]))

    def _discard(self, report_id: str) -> None:
        """What did not arrive whole. What can't be removed now is at the next start."""
        try:
            self._keyring.destroy([_subject(report_id)])
            self._objects.delete(report_id)
            self._remove(report_id)
        except StorageError:
            pass

    def _demand_same(self, report: Report, parts: Parts) -> None:
        """Refuse what is not this report: its sender would take it for kept. One that can't be
        opened any more was withdrawn or is past its time, and stays so.
        """
        try:
            there = self.open(report)
        except BaileeError:
            return
        if there != parts:
            raise InputError(
                "this Idempotency-Key was given with another report; nothing was kept.",
                code="idempotency_key",
                hint="use a new key for each report",
            )

    def _mark(self, origin: Origin, sent_as: str) -> bytes:
        return hmac.digest(self._sent_key, associated(origin.key_id, sent_as), "sha256")

    # -- reading ---------------------------------------------------------------------------------

    def all(self, now: datetime) -> list[Report]:
        """Every report that can be read at `now`, the latest first."""
        return self._select(table.c.expires_at > now)

    def page(
        self,
        whose: Whose | None,
        now: datetime,
        *,
        state: str | None,
        after: str | None,
        limit: int,
    ) -> tuple[list[Report], str | None, int]:
        """What somebody sent (None: everybody) and can be read at `now`, the latest first, of one
        state if it is given; the place where more follow (`db.pages`); how many there are in all.

        Raises:
            InputError: there is no such state, or place.
        """
        if state not in (None, *STATES):
            raise InputError("a report is open, linked or closed.")
        wanted = (
            table.c.expires_at > now,
            true() if whose is None else whose.condition,
            true() if state is None else table.c.state == state,
        )
        beyond = following(table.c.received_at, table.c.id, after)
        found = self._select(*wanted, beyond, limit=limit + 1)
        total = len(found)
        if after is not None or total > limit:
            query = select(func.count()).where(table.c.state != _ARRIVING, *wanted)
            with storage_errors(_WHAT), reading(self._engine) as connection:
                total = connection.execute(query).scalar_one()
        return *cut(found, limit, lambda one: place(one.received_at, one.id)), total

    def of(self, whose: Whose, now: datetime) -> list[Report]:
        """What somebody sent and can be read at `now`, the latest first."""
        return self._select(table.c.expires_at > now, whose.condition)

    def get(self, report_id: str, now: datetime, whose: Whose | None = None) -> Report:
        """A report that can be read at `now`; with `whose`, only if it is theirs.

        Raises:
            InputError: code `not_found`.
        """
        theirs = true() if whose is None else whose.condition
        found = self._select(table.c.id == report_id, table.c.expires_at > now, theirs)
        if not found:
            raise InputError("there is no such report, or it is no longer kept.", code="not_found")
        return found[0]

    def open(self, report: Report) -> Parts:
        """A report's content. Reading by staff goes on record first (`accounts.staff`).

        Raises:
            IntegrityError: it was changed, or its key has been destroyed.
            StorageError: it can't be read.
        """
        return self._open(report, self._keyring.get(_subject(report.id)).key)

    def _open(self, report: Report, key: bytes) -> Parts:
        sealed = self._objects.get(report.id, 0, report.bytes)
        plain = unseal(key, sealed, _data(report.id), f"report {report.id}")
        content = unpack(zstandard.decompress(plain, max_output_size=_LARGEST))
        return cast("Parts", content)

    def on_disk(self, account_id: str) -> int:
        """What of an account rests here, in bytes. Not for the event loop (`ReceivedCounts.rests`).

        Raises:
            StorageError: the store can't be read.
        """
        return self.received.rests(account_id, self._clock())

    def over(self, share: Share, account_id: str) -> tuple[str, int] | None:
        """How an account has used up its share, of reports a day or on disk (`Standing.over`)."""
        now = self._clock()
        return self.received.of(account_id, now).over(share, now)

    def _resting(self) -> dict[str, int]:
        query = select(table.c.account_id, func.sum(table.c.bytes)).group_by(table.c.account_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {account_id: int(size) for account_id, size in connection.execute(query)}

    # -- triage ----------------------------------------------------------------------------------

    def set(self, report: Report, state: str, *, by: str, issue: str | None = None) -> Report:
        """Note how far a report has come: open, linked (to an issue's address) or closed."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == report.id)
                .values(state=state, issue=issue or report.issue, changed_at=self._clock())
            )
        body = {"state": state, "by": by} | ({} if issue is None else {"issue": issue})
        self._record("report.changed", report.id, body, whose=report.whose)
        return self.get(report.id, self._clock())

    # -- forgetting ------------------------------------------------------------------------------

    def secret(self, report_id: str) -> str:
        """What whoever has it may withdraw this report with, having neither key nor account."""
        return hmac.digest(self._withdrawal_key, report_id.encode(), "sha256").hex()[:32]

    def is_secret(self, report_id: str, given: str) -> bool:
        """Whether this is the report's secret."""
        return hmac.compare_digest(self.secret(report_id).encode(), given.encode())

    def withdraw(self, report: Report, now: datetime, *, by: str) -> Receipt:
        """Destroy a report at its sender's word.

        Raises:
            StorageError: a store failed; if there is a receipt, the next sweep finishes it.
        """
        with self.lock:
            (receipt,) = self._ending.begin(
                WITHDRAWAL, [_due(report.id, report.account_id)], now, by=by
            )
        return receipt

    def sweep(self, now: datetime) -> dict[str, int]:
        """Finish what was begun, and destroy what is past its time; how many reports.

        Raises:
            StorageError: a store failed; the next sweep goes on.
        """
        with self.lock:
            done = self._ending.finish(now)
        done += self._ending.end_all(
            EXPIRY,
            lambda: self._ids(table.c.expires_at <= now, sound(table)),
            now,
            lock=self.lock,
        )
        unsound = {name for name, _ in self._names(not_(sound(table)))} - self._holds.held()
        living = set(self._keyring.living([_subject(name) for name in unsound]))
        for name in unsound:
            if _subject(name) not in living:  # gone with its epoch
                self._discard(name)
        self.received.look(now)
        return {"reports": done}

    def recover(self) -> None:
        """Remove what a crash kept from arriving whole: nobody was told that it was there.

        Raises:
            StorageError: a store failed; call again.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            query = select(table.c.id).where(table.c.state == _ARRIVING)
            left = list(connection.execute(query).scalars())
        for report_id in left:
            self._discard(report_id)

    # -- as a keeper -----------------------------------------------------------------------------

    def is_kept(self, thing: str, now: datetime) -> bool:
        """Whether there is a report that can be read at `now`."""
        return bool(self._select(table.c.id == thing, table.c.expires_at > now))

    def keys_of(self, thing: str) -> dict[str, str]:
        """Its one key."""
        return {"": _subject(thing)}

    def resume(self, thing: str, now: datetime) -> None:
        """Go on with what holds have deferred."""
        self._ending.resume(thing, now)

    def read_held(self, thing: str, key_of: KeyOf) -> Iterator[bytes]:
        """A held report: one line for what is known of it, one for each part.

        Raises:
            IntegrityError: its row, its key or its bytes are not what they were.
        """
        found, key = self._select(table.c.id == thing), key_of("")
        if not found or key is None:
            raise IntegrityError(
                f"report {thing} or the key that is held of it is not what was written.",
                hint="see `bailee verify`",
            )
        report = found[0]
        yield line({"type": "report", "id": thing, "received": report.received_at.isoformat()})
        for name, content in self._open(report, key).items():
            yield line({"type": "part", "part": name, "content": content})

    def follow(self, account_id: str, chosen_at: datetime | None, policy: int) -> None:
        """A report keeps the terms that it came on."""

    def erase(self, whose: Owner, now: datetime, part_of: str, by: str) -> None:
        """Destroy all that somebody sent, as a part of an erasure. Can be broken off and repeated.

        Raises:
            StorageError: a store failed; call again.
        """
        person = whose.person_id
        theirs = Whose(None if person else whose.account_id, person).condition
        with self.lock:
            self._ending.finish(now)
            self._receipts.take_over(self._held(theirs), part_of)
            self._ending.end_all(
                ERASURE, lambda: self._ids(theirs), now, lock=self.lock, by=by, part_of=part_of
            )

    # -- as its endings see it -------------------------------------------------------------------

    def key_of(self, receipt: Receipt) -> str:
        """The name of a report's key."""
        return _subject(receipt.subject)

    def deny(self, receipt: Receipt, now: datetime) -> None:
        """Past its time nobody reads a report."""
        of_it = (table.c.id == receipt.subject) & (table.c.expires_at > now)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(update(table).where(of_it).values(expires_at=now))

    def remove(self, receipt: Receipt) -> None:
        """Remove a report's bytes, then its row."""
        self._objects.delete(receipt.subject)
        self._remove(receipt.subject)

    def _remove(self, report_id: str) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.id == report_id))

    def _ids(self, *where: ColumnElement[bool]) -> list[Due]:
        """Some of the reports of which that is true, and whose end waits for no hold."""
        return [_due(*one) for one in self._names(not_(_DEFERRED), *where, most=_PORTION)]

    def _held(self, *where: ColumnElement[bool]) -> list[str]:
        """The ids of those whose end waits for a hold."""
        return [name for name, _ in self._names(_DEFERRED, *where)]

    def _names(self, *where: ColumnElement[bool], most: int | None = None) -> list[tuple[str, str]]:
        """The ids of reports and of their accounts, whether the rows are sound or not."""
        query = select(table.c.id, table.c.account_id).where(table.c.state != _ARRIVING, *where)
        query = query.limit(most)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [(row.id, row.account_id) for row in connection.execute(query)]

    def _select(self, *where: ColumnElement[bool], limit: int | None = None) -> list[Report]:
        query = (
            select(table)
            .where(table.c.state != _ARRIVING, *where, sound(table))
            .order_by(table.c.received_at.desc(), table.c.id)
            .limit(limit)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_report(row) for row in connection.execute(query)]


def _subject(report_id: str) -> str:
    return f"report:{report_id}"


def _due(report_id: str, account_id: str) -> Due:
    return Due(report_id, [_subject(report_id)], account_id, DATA_CLASS)


def _data(report_id: str) -> bytes:
    return associated("bailee/report/1", _subject(report_id), DATA_CLASS, _SCHEMA)


def _report(row: Row[tuple[object, ...]]) -> Report:
    return Report(
        row.id,
        row.account_id,
        row.person_id,
        row.key_id,
        tuple(row.parts.split()),
        row.bytes,
        row.received_at,
        row.expires_at,
        Terms(row.period, row.clause, row.document),
        row.state,
        row.issue,
        row.changed_at,
    )
