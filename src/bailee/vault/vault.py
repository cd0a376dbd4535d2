"""The vault: what is retained, from the spool to its last byte. The facade that others use.

Rows: R1, R5, D4.

Everything lies in one folder:

    spool/        what is not sealed yet          quarantine/   bytes of it that do not open
    open/         segments that are appended to   segments/     the object store's folder (default)
    attempting    what of the spool is being tried alone

and, where what is answered is to outlive the machine, spool and open segments in the database, too
(`lasting_rows`).

Rules kept here:

* Who reads or deletes does not wait for what others have in the seal queue, but in turns. `settle`
  waits for what is one's own, and only so long; it says what is not filed yet.
* A session whose row, or whose exchanges in the index, are not what was written is shown to nobody:
  `damages` has it, and its key's epoch rules its destruction.
* A start does not wait for what an earlier process left: `recover` may be told how long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    func,
    not_,
    select,
)

from bailee.clock import Clock, Ticks, ticks
from bailee.damage import Damages
from bailee.db import counting
from bailee.db.checks import sound, unsound
from bailee.db.engine import DbRow, Query, reading, storage_errors
from bailee.db.pages import Order, following
from bailee.db.vault import OF_A_RECORD, exchanges, sessions, spool_positions
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.keeping.holds import Hold, Holds
from bailee.keeping.keeper import KeyOf, Owner
from bailee.keeping.receipts import Receipt, Receipts, Record
from bailee.keyring import Keyring, Rotation
from bailee.lasting import Lasting
from bailee.vault import positions
from bailee.vault.compressing import ExchangeRecord as StoredRecord
from bailee.vault.conversations import Conversations
from bailee.vault.erasing import Erasing
from bailee.vault.exporting import as_lines
from bailee.vault.files import Files
from bailee.vault.forgetting import Forgetting, Lag, SweepReport
from bailee.vault.going_round import Round
from bailee.vault.groups import SessionGroup, groups
from bailee.vault.holdings import Holding, holdings
from bailee.vault.indexing import Indexing
from bailee.vault.kept import IndexedExchange, IndexedSession
from bailee.vault.lasting_rows import LastingRows
from bailee.vault.member_files import MemberFiles
from bailee.vault.moving import Moving
from bailee.vault.objects import FolderObjects, Objects
from bailee.vault.prolonging import Prolonging
from bailee.vault.record import open_record, subject_of
from bailee.vault.recovery import WAITS, Left, Recovery, RecoveryReport
from bailee.vault.sealed import SealedSession
from bailee.vault.sealer import Sealer
from bailee.vault.sealing_queue import Unfiled
from bailee.vault.searching import Searching
from bailee.vault.segments import Segments
from bailee.vault.spool import Spool
from bailee.vault.spool_reading import SpoolReader
from bailee.vault.spool_store import FolderSpool, SpoolStores
from bailee.vault.spool_writing import LIFETIME
from bailee.vault.steps import Steps
from bailee.vault.stored import Stored
from bailee.vault.terms import PresentTerms, unknown
from bailee.vault.tombstones import AppendOwned, Tombstones
from bailee.vault.transcript import KeptExchange, SessionRow, Transcript, rebuild, transcript
from bailee.vault.unkept import Unkept, counted
from bailee.vault.verifying import Verifying
from bailee.vault.workbench import Bench, DigestKeys, Interpret, Workbench

_COLUMNS = [sessions.c[field.name] for field in fields(SessionRow)]
# Built once: to build a statement costs several times what it takes to run it.
_ONE = select(*_COLUMNS).where(
    sessions.c.id == bindparam("which"), sessions.c.expires_at > bindparam("now"), sound(sessions)
)
_OWNER = select(sessions.c.owner).where(sessions.c.id == bindparam("which"), sound(sessions))
_EXCHANGES: Query = (
    select(*OF_A_RECORD, sessions.c.id.label("session_id"))
    .join(sessions, sessions.c.number == exchanges.c.session)
    .where(sessions.c.id == bindparam("which"), sound(exchanges))
    .order_by(exchanges.c.number)
)
_SPOOL_AGE = timedelta(minutes=30)
_PATIENCE = 2.0  # seconds that who reads or deletes waits for what is not sealed yet
_SOON = 256  # exchanges, that may be sealed in that time; with more before it nobody waits
_WHOLE = 60.0  # that who copies a session waits, since a copy is whole or is none
_ERASING = 10.0  # that the erasure of a person waits, before it goes on by itself later
_EVER = datetime.min.replace(tzinfo=UTC)  # before any time that a session is kept until
_CLOSING = 10.0  # that the end waits; what is not sealed then is in the spool
_AS_MANY = 1 << 62  # parts, that each is the least


class Vault:
    """The vault of one home, a `keeping.keeper.Keeper` of sessions. Its methods may be called from
    any thread.

    A home's wiring makes it and closes it. It owns the folder, the vault's tables, and the threads
    of spool and sealer. Who changes the index or the segments holds `lock`. It asks nobody whether
    an actor may: operations do that, before.
    """

    what: Final = "session"
    prefix: Final = ""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        keyring: Keyring,
        clock: Clock,
        interpret: Interpret,
        bench: Callable[[DigestKeys], Bench] | None = None,
        record: Record,
        append_owned: AppendOwned | None = None,
        holds: Holds,
        receipts: Receipts,
        present: PresentTerms = unknown,
        deleted_by: Callable[[], str] = lambda: "resume.deleted",
        damages: Damages | None = None,
        objects: Objects | None = None,
        rows: LastingRows | None = None,
        files: Files | None = None,
        room: Callable[[], AbstractContextManager[None]] = nullcontext,
        spool_file_bytes: int = 16 << 20,
        most_waiting: int = 64 << 20,
        ship_bytes: int = 8 << 20,
        ship_age: timedelta = timedelta(hours=1),
        rotation_interval: Callable[[], timedelta] = lambda: timedelta(days=1),
        ticking: Ticks = ticks,
    ) -> None:
        """Open the vault in `folder`, indexed in `engine` (migrated). Then call `recover`.

        `interpret` takes exchanges apart, at `bench` when it is given: made with the keys of its
        digests. `record` appends to the audit record, and so does `append_owned`; `present`
        says on what terms an owner's sessions are kept now; `deleted_by` gives the clause by which
        what goes on with a deleted session is not. `objects` is where sealed segments go
        (default: a folder); `ship_bytes`, `ship_age`: when. `rows`: those of spool and open
        segments in the database, if there are any; the vault closes them. `room` is entered for
        writing what was accepted before.

        Raises:
            IntegrityError, StorageError: a store can't be used.
        """
        files = files or Files()
        self._engine = engine
        self._keyring = keyring
        self._clock = clock
        self._record = record
        self.damages = damages or Damages()
        # Held by whoever changes the index, the segments or what is known of them.
        self.lock = threading.RLock()
        self.receipts = receipts
        self._segments = Segments(
            engine,
            folder / "open",
            objects or FolderObjects(folder / "segments"),
            files,
            lock=self.lock,
            ship_bytes=ship_bytes,
            ship_age=ship_age,
            rows=None if rows is None else rows.segments,
        )
        self._segments.recover()
        self._rows = rows
        self._folder_spool = FolderSpool(folder / "spool", folder / "quarantine", files)
        spools = [self._folder_spool] if rows is None else [self._folder_spool, rows.spool]
        self._reader = SpoolReader(SpoolStores(*spools), keyring)
        self._recovery = Recovery(self._reader, folder / "attempting", record)
        self._begun = False
        self._ticks = ticking
        self._opened = ticking()
        self._round, self._looking = Round(parts=_AS_MANY), threading.Lock()
        secret = keyring.secret("vault/tombstones")
        digest_keys = DigestKeys(keyring.secret("vault/conversations"), secret)
        tombstones = self.tombstones = Tombstones(engine, secret, append_owned)
        self.stored = Stored(engine)
        self.indexing = Indexing(
            engine,
            keyring=keyring,
            segments=self._segments,
            stored=self.stored,
            damages=self.damages,
            lock=self.lock,
        )
        self.searching = Searching(
            engine, keyring=keyring, segments=self._segments, indexing=self.indexing
        )
        self._sealer = Sealer(
            engine,
            keyring=keyring,
            segments=self._segments,
            reader=self._reader,
            recovery=self._recovery,
            conversations=Conversations(),
            bench=(bench or partial(Workbench, interpret))(digest_keys),
            clock=clock,
            record=record,
            lock=self.lock,
            present=present,
            tombstones=tombstones,
            deleted_by=deleted_by,
            stored=self.stored,
            damages=self.damages,
            filed=self.indexing.note,
            room=room,
        )
        self._members: MemberFiles | None = None
        if rows is not None:
            self._members = MemberFiles(
                rows.spool,
                engine,
                keyring,
                self._sealer.queue,
                sealed=self._sealer.mended,
                wary=self._sealer.beware,
            )
        self.moving = Moving(
            engine,
            keyring=keyring,
            record=record,
            lock=self.lock,
            present=present,
            damages=self.damages,
        )
        self.prolonging = Prolonging(
            engine, keyring=keyring, record=record, lock=self.lock, damages=self.damages
        )
        self.holds = holds
        holds.register(self)
        self._erasing = Erasing(
            engine,
            keyring=keyring,
            segments=self._segments,
            sealer=self._sealer,
            lock=self.lock,
            holds=self.holds,
            tombstones=tombstones,
            stored=self.stored,
            receipts=receipts,
        )
        self._forgetting = Forgetting(
            engine,
            keyring=keyring,
            segments=self._segments,
            record=record,
            lock=self.lock,
            holds=self.holds,
            tombstones=tombstones,
            erasing=self._erasing,
            receipts=receipts,
            damages=self.damages,
            rotation_interval=rotation_interval,
        )
        self.spool = Spool(
            self._folder_spool if rows is None or not rows.writes else rows.spool,
            keyring,
            clock,
            self._sealer,
            file_bytes=spool_file_bytes,
            most_waiting=most_waiting,
        )

    # -- reading ---------------------------------------------------------------------------------

    def sessions(
        self,
        now: datetime,
        owner: str | None = None,
        *,
        newest: int | None = None,
        after: str | None = None,
        order: Order = Order.NEWEST,
    ) -> list[SessionRow]:
        """The sessions that are kept at `now`, all or one owner's, latest activity first or last;
        at most the first `newest`, and those that come `after` a place (`db.pages`: last activity,
        id), if given. A page costs what is on it: one index has both orders, read from either end.
        """
        query = select(*_COLUMNS).where(sessions.c.expires_at > now, sound(sessions))
        if owner is not None:
            query = query.where(sessions.c.owner == owner)
        at, name, back = sessions.c.last_activity, sessions.c.id, order is Order.OLDEST
        query = query.where(following(at, name, after, oldest_first=back, names_fall=back))
        query = query.order_by(*((at, name.desc()) if back else (at.desc(), name))).limit(newest)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return [SessionRow(**row._mapping) for row in connection.execute(query)]

    def going(
        self, now: datetime, by: datetime, owner: str | None = None, *, most: int
    ) -> tuple[list[SessionRow], int]:
        """What can be read at `now` and not at `by`, the first to go first; at `most` so many, and
        how many there are.
        """
        where = [sessions.c.expires_at > now, sessions.c.expires_at <= by, sound(sessions)]
        if owner is not None:
            where.append(sessions.c.owner == owner)
        query = select(*_COLUMNS).where(*where).order_by(sessions.c.expires_at, sessions.c.id)
        total = select(func.count()).select_from(sessions).where(*where)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            found = [SessionRow(**row._mapping) for row in connection.execute(query.limit(most))]
            return found, connection.execute(total).scalar_one()

    def count(self, now: datetime, owner: str | None = None) -> int:
        """How many sessions `sessions` would give."""
        query = select(func.count()).where(sessions.c.expires_at > now)
        if owner is not None:
            query = query.where(sessions.c.owner == owner)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def row(self, session_id: str, now: datetime) -> SessionRow:
        """The particulars of a session that is kept at `now`.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            IntegrityError: its row is not what was written.
        """
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return self._row(connection, session_id, now)

    def _row(self, connection: Connection, session_id: str, now: datetime) -> SessionRow:
        row = connection.execute(_ONE, {"which": session_id, "now": now}).first()
        if row is not None:
            return SessionRow(**row._mapping)
        bad = select(sessions.c.id).where(sessions.c.id == session_id, not_(sound(sessions)))
        if connection.execute(bad).first() is not None:
            self.damages.note_all("sessions", [session_id])
            raise IntegrityError(
                f"the index row of session {session_id} is not what was written.",
                hint="it is shown to nobody and trained on by nobody; see `bailee verify`",
            )
        raise InputError(
            "there is no such session, or no more.",
            code="not_found",
            hint="bailee sessions list shows what is kept",
        )

    def find(self, session_id: str, now: datetime) -> IndexedSession:
        """A session that is kept at `now`, as the index has it: for `opened`, once who asks has
        been found to may read it. Errors as in `row`.
        """
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            row = self._row(connection, session_id, now)
            rows = list(connection.execute(_EXCHANGES, {"which": session_id}))
            (told,) = self.indexing.rows_of(connection, [session_id])
            return IndexedSession(row, rows, told, self.holds.is_held(session_id, connection))

    def opened(self, found: IndexedSession) -> Transcript:
        """A session that was found, rebuilt: each exchange as it was. Errors as in `show`."""
        self._see_that_all_are_there(found.row, found.exchanges)
        records = self._records(found.row, found.exchanges, None)
        return transcript(found.row, rebuild(records))

    def show(self, session_id: str, now: datetime | None = None) -> Transcript:
        """A session that is kept at `now` (None: by the clock), rebuilt: each exchange as it was.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            IntegrityError: a record does not authenticate.
            StorageError: a segment can't be read.
        """
        session, rows = self._find(session_id, now)
        return transcript(session, rebuild(self._records(session, rows, None)))

    def export(self, session_id: str, now: datetime | None = None) -> Iterator[bytes]:
        """A session as JSON Lines: the session, then each exchange. Errors as in `show`."""
        session, rows = self._find(session_id, now)
        self.indexing.bring([session_id], now or self._clock(), _PATIENCE)
        telling = self.indexing.tellings([session_id]).get(session_id)
        return as_lines(session, self._exchanges(session, rows, None), telling)

    def raw(
        self, session_id: str, number: int, now: datetime | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """What is kept as the bytes that came, of the request and of the answer of one exchange of
        a session. Errors as in `show`; also `not_found`: it has no such exchange.
        """
        session, rows = self._find(session_id, now)
        if not 0 <= number < len(rows):
            raise InputError(
                f"the session has no exchange {number}.",
                code="not_found",
                hint="they are numbered from 0",
            )
        ((_, record),) = self._records(session, [rows[number]], None)
        return record.raw_request, record.raw_answer

    def sealed(self, session_id: str, now: datetime | None = None) -> SealedSession:
        """A session as it lies: its exchanges' places in the index, its records as they are read,
        unopened, and the key that opens them. Whoever has it needs neither index nor keyring.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            IntegrityError: its index rows are not what was written, or its key is gone.
        """
        session, rows = self._find(session_id, now)
        found = self._keyring.some([subject_of(session.id)])[subject_of(session.id)]
        if isinstance(found, IntegrityError):
            raise found
        places = tuple(IndexedExchange.of(row) for row in rows)
        records = (self._segments.read(row.segment_id, row.offset, row.length) for row in rows)
        return SealedSession(session, places, records, found.key)

    def report(self, now: datetime) -> list[Holding]:
        """What is kept at `now`, by class, plan and expiry day."""
        return holdings(self._engine, now)

    def sum_up(self) -> bool:
        """See that the sums of sessions (`db.counting`) are what they are of; whether they had to
        be put right. Every session is read for it.

        Raises:
            StorageError: the index can't be read, or not be written.
        """
        with storage_errors("the vault's index"):
            with reading(self._engine) as connection:
                wrong = counting.differ(connection)
            if wrong:
                with self.lock, self._engine.begin() as connection:
                    counting.recount(connection)
        return wrong

    def unsound(self) -> list[str]:
        """The ids of sessions whose rows are not what was written, as text: of some thousands at
        most, others each time. Sweeps go round all of them, and note in `damages` what they find.

        Raises:
            StorageError: the index can't be read.
        """
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            with self._looking:
                part = self._round.next(connection)
            return unsound(connection, sessions, part)

    def groups(self, owner: str | None = None) -> Iterator[SessionGroup]:
        """All sessions, or one owner's, counted by what a policy decides about them by."""
        return groups(self._engine, owner)

    def verifying(self, checked: dict[str, int]) -> Verifying:
        """The checks of all that is kept here; they count what they look at in `checked`."""
        return Verifying(self._engine, self._keyring, self._segments, self._reader, checked)

    def unkept(self, owner: str | None = None) -> list[Unkept]:
        """How much of an owner's, or of everybody's, went on with what had been deleted, and was
        not kept.
        """
        return counted(self._engine, owner)

    # -- forgetting ------------------------------------------------------------------------------

    def delete(
        self,
        session_id: str,
        now: datetime,
        *,
        shown: datetime | None = None,
        by: str | None = None,
    ) -> Receipt:
        """Erase a session: its spooled copies, its key, its rows; from now on nothing is kept that
        goes on with it (`tombstones`). The receipt says how far it is: while copies may be in the
        spool, in files with what others have there, the session is inaccessible, and the next sweep
        destroys key and copies. `shown`: when it has to be readable, if that is not `now`;
        `by`: who asked.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            StorageError: a store failed; if there is a receipt, the next sweep finishes it.
        """
        gone = self._is_gone(self._owner(session_id), _PATIENCE, most=_SOON)
        with self.lock:
            with suppress(IntegrityError):  # what nobody is shown can be deleted all the same
                self.row(session_id, shown or now)
            if gone:
                return self._erasing.erase(session_id, now, by)
            return self._erasing.make_inaccessible(session_id, now, by)

    def erase(self, whose: Owner, now: datetime, part_of: str, by: str) -> None:
        """Erase every session of an owner, as a part of an erasure. Repeat it to go on with what
        broke off, or was deferred.

        Raises:
            StorageError: a store failed, or what was recorded before is still being filed; call
                again.
        """
        owner = whose.account_id
        if owner is None:
            return
        if not self._is_gone(owner, _ERASING):
            raise StorageError(
                "what was recorded before is still being filed; the erasure is on record.",
                hint="it goes on by itself with the next sweep, within minutes",
            )
        self._erasing.erase_owned(owner, now, part_of, by)

    def owned_ids(self, owner: str) -> list[str]:
        """The ids of all that is in the index of an owner, damaged or not."""
        query = select(sessions.c.id).where(sessions.c.owner == owner).order_by(sessions.c.id)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            found = connection.execute(query).scalars().all()
        return [one for one in found if isinstance(one, str)]

    def owned(self, owner: str) -> list[SessionRow]:
        """All that is in the index of an owner, what can't be read any more too, by id."""
        query = (
            select(*_COLUMNS)
            .where(sessions.c.owner == owner, sound(sessions))
            .order_by(sessions.c.id)
        )
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return [SessionRow(**row._mapping) for row in connection.execute(query)]

    def place_hold(self, session_id: str, reason: str, now: datetime) -> Hold:
        """Hold a session with what was just said in it. Errors as in `Holds.place`."""
        self.settle(session=session_id)
        return self.holds.place(session_id, reason, now)

    def is_kept(self, thing: str, now: datetime) -> bool:
        """Whether there is a session that can be read at `now`, damaged or not."""
        query = select(sessions.c.id).where(sessions.c.id == thing, sessions.c.expires_at > now)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def keys_of(self, thing: str) -> dict[str, str]:
        """A session's one key."""
        return {"": subject_of(thing)}

    def resume(self, thing: str, now: datetime) -> None:
        """Go on with what holds on a session have deferred."""
        self._erasing.resume(thing, now)

    def read_held(self, thing: str, key_of: KeyOf) -> Iterator[bytes]:
        """A held session as JSON Lines, as `export` gives it; whether its time has passed or not.
        Errors as in `show`.
        """
        session, rows = self._find(thing, _EVER)
        return as_lines(session, self._exchanges(session, rows, key_of("")))

    def follow(self, account_id: str, chosen_at: datetime | None, policy: int) -> None:
        """Have an account's sessions follow its choice, in portions: see `moving`."""
        self.moving.request(account_id, chosen_at, self._clock(), policy)

    def sweep(self, now: datetime, steps: Steps | None = None) -> SweepReport:
        """Move what is to be moved, destroy what is due and remove its rows, reclaim and ship
        segments, rotate the root if due. What a step failed of is in `steps`; without, the first
        failure is raised once the others are done.

        What waits to be sealed may move a session's end, so it is waited for, but a moment only:
        whatever waits, keys go on time. Only what an earlier process left keeps them longer
        (`recovery.WAITS`): it may have waited for days.

        Raises:
            StorageError: no `steps` were given and a store failed, or the end is near (`hurry`);
                the next sweep goes on.
        """
        taken = Steps() if steps is None else steps
        ahead = now - self._clock() > LIFETIME - _SPOOL_AGE
        with taken.step("sealing"):
            self.spool.roll(older_than=_SPOOL_AGE)
            if ahead:  # a test's time: keys of the spool are due, too
                self._sealer.queue.wait()
            elif not self._is_sealed(_PATIENCE, most=_SOON):
                self._sealer.queue.check_going()
        with taken.step("moves"):
            self.moving.run(now)
        kept = 0
        with taken.step("kept by their person"):
            self.prolonging.finish(now)
            kept = self.prolonging.count(now)
        done = self._forgetting.sweep(now, taken, waits=self._waits_for_left())
        if ahead:
            with taken.step("sealing"):
                self.spool.roll()
                self._sealer.queue.wait()
        with taken.step("quarantine"):
            self._reader.forget_quarantined()
            self._note_outlived()
        if steps is None:
            taken.raise_first()
        return replace(done, kept=kept)

    def _waits_for_left(self) -> bool:
        """Whether what is due by its time still waits for what an earlier process left."""
        left = self._sealer.queue.unfiled().earlier or (not self._begun and self._recovery.files)
        return bool(left) and self._ticks() - self._opened < WAITS

    def end_past(self, now: datetime) -> None:
        """Destroy what is past its time at `now` and not destroyed yet, since the time is to go
        back: no earlier time shows it again.

        Raises:
            StorageError: a store failed; call again.
        """
        self._forgetting.end_past(now)

    def lag(self, now: datetime) -> Lag:
        """How long what is destroyed can be recovered from older copies of the keyring.

        Raises:
            StorageError: the keyring can't be read.
        """
        return self._forgetting.lag(now)

    def rotate(self, now: datetime) -> Rotation:
        """Rotate the root now: older copies of the keyring open nothing that was destroyed.

        Raises:
            StorageError: the keyring or its root can't be written; call again to finish.
        """
        return self._forgetting.rotate(now)

    def note_ended_roots(self, now: datetime) -> int:
        """Note on receipts that no root can be brought back that opened what they are of; on how
        many.

        Raises:
            StorageError: the keyring or the database can't be written.
        """
        return self._forgetting.note_ended_roots(now)

    # -- running ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Return when everything submitted before is durable and in the index.

        Raises:
            StorageError: a store fails; what was acknowledged stays in the spool.
        """
        self.spool.flush()
        self._catch_up(_WHOLE)
        self._sealer.queue.wait()

    def _catch_up(self, seconds: float) -> bool:
        """Whether all that members have written is queued, after so many seconds at most."""
        return self._members is None or self._members.catch_up(seconds)

    def settle(self, owner: str | None = None, *, session: str | None = None) -> Unfiled:
        """Wait, a little, until what was submitted before is in the index, of an owner (or of a
        session's owner) or of everybody; what is not in it yet. A read that comes after shows what
        one did last, unless this says otherwise.
        """
        self.spool.flush()
        self._catch_up(_PATIENCE)
        if not (nothing := self.unfiled()):
            return nothing
        if owner is None and session is not None:
            owner = self._owner(session)
        with suppress(StorageError):
            self._sealer.queue.wait(_PATIENCE, owner, most=_SOON)
        return self.unfiled(owner)

    def settle_whole(self, session: str) -> None:
        """Wait until all that was submitted before of a session's owner is in the index: a copy
        that is made then lacks nothing.

        Raises:
            StorageError: it is not within a minute, or a store fails; ask again.
        """
        self.spool.flush()
        whole = self._catch_up(_WHOLE)
        if not whole or not self._sealer.queue.wait(_WHOLE, self._owner(session)):
            raise StorageError(
                "what was said last is still being filed, and a copy would lack it.",
                hint="ask again in a minute",
            )

    def _is_sealed(self, seconds: float, *, most: int | None = None) -> bool:
        """Whether all that was submitted before is in the index after so many seconds. It may not
        be: much waits, or a store fails, as on a full disk.
        """
        self._catch_up(seconds)
        with suppress(StorageError):
            return self._sealer.queue.wait(seconds, most=most)
        return False

    def _is_gone(self, owner: str | None, seconds: float, *, most: int | None = None) -> bool:
        """Whether no copies of what was submitted before are in the spool after so many seconds, of
        an owner or of everybody. There may be, for the same reasons.
        """
        self.spool.roll()
        if self._members is not None and not self._members.close_all(seconds):
            return False
        queue = self._sealer.queue
        with suppress(StorageError):
            return queue.wait_for(queue.mark(owner), seconds, most=most)
        return False

    def _owner(self, session: str) -> str | None:
        """Whose a session is; None if there is none, or its row is not what was written."""
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            owner: str | None = connection.execute(_OWNER, {"which": session}).scalar()
        return owner

    def unfiled(self, owner: str | None = None) -> Unfiled:
        """What is durable and not in the index yet, of an owner or of everybody."""
        unfiled = self._sealer.queue.unfiled(owner)
        if self._members is not None and self._members.behind:
            return replace(unfiled, earlier=True)
        return unfiled

    def recover(self, within: float | None = None) -> RecoveryReport | None:
        """Seal what an earlier process left in the spool; finish erasures that it began. None when
        that is not done `within` so many seconds: it goes on, and the next sweep does the rest.

        Raises:
            StorageError: a store failed; call again.
        """
        if not self._begun:
            self._begun = True
            for name in self._recovery.files:
                self._sealer.queue.put_left(Left(name, self._reader.size(name)))
            if self._members is not None and self._rows is not None:
                self._members.begin(may_be=self._rows.writes)
        if not self._sealer.queue.wait(within):
            return None
        self._forget_positions()
        self.holds.finish(self._clock())
        self._erasing.finish_erasures(self._clock())
        self._note_outlived()
        return self._recovery.report()

    def ship(self) -> int:
        """Put every open segment into the object store now; how many.

        Raises:
            StorageError: the object store or the index failed.
        """
        return self._segments.ship(self._clock(), everything=True)

    def stalled(self) -> float:
        """Seconds in which nothing of what waits to be sealed was; 0 when nothing waits."""
        return self._sealer.queue.stalled()

    def threads(self) -> list[Lasting]:
        """The sealer's and the spool's, for whoever watches."""
        threads = [self._sealer.thread, *self.spool.threads()]
        return threads if self._members is None else [*threads, self._members.thread]

    def rotation_due(self, now: datetime) -> bool:
        """Whether the next sweep rotates the root.

        Raises:
            StorageError: the keyring can't be read.
        """
        return self._forgetting.rotation_due(now)

    def hurry(self) -> None:
        """The end is near: a sweep that waits for the sealer ends, and so does one that comes."""
        self._sealer.queue.hurry()

    def close(self) -> None:
        """Write and seal what waits, as far as the stores and ten seconds allow, and stop. What an
        earlier process left is not waited for.
        """
        if self._members is not None:
            self._members.stop()  # members go on; what they write waits for the next process
        self.spool.close()
        unfiled = self._sealer.queue.unfiled()
        try:
            sealed = not unfiled.earlier and self._sealer.queue.wait(_CLOSING)
        except StorageError:
            sealed = False
        if not sealed:
            self._record("vault.closed_unsealed", "spool", {})
        self._sealer.close()
        self._segments.close()
        if self._rows is not None:
            self._rows.close()

    # -- inside ----------------------------------------------------------------------------------

    def _find(self, session_id: str, now: datetime | None) -> tuple[SessionRow, list[DbRow]]:
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            session = self._row(connection, session_id, now or self._clock())
            rows = list(connection.execute(_EXCHANGES, {"which": session_id}))
        self._see_that_all_are_there(session, rows)
        return session, rows

    def _see_that_all_are_there(self, session: SessionRow, rows: list[DbRow]) -> None:
        if [row.number for row in rows] != list(range(session.exchanges)):
            found = f"{len(rows)} of {session.exchanges} exchanges are in the index as they were"
            self.damages.note(f"session {session.id}", f"{found}.")
            raise IntegrityError(
                f"of session {session.id} {found}.",
                hint="a part would look like the whole, so none is shown; see `bailee verify`",
            )

    def _records(
        self, session: SessionRow, rows: list[DbRow], key: bytes | None
    ) -> Iterator[tuple[DbRow, StoredRecord]]:
        """The records of a session, opened with its own key (None), or one that a hold keeps."""
        key = key or self._keyring.get(subject_of(session.id)).key
        for row in rows:
            sealed = self._segments.read(row.segment_id, row.offset, row.length)
            yield (
                row,
                open_record(
                    sealed,
                    key,
                    session_id=session.id,
                    record_id=row.id,
                    data_class=session.data_class,
                ),
            )

    def _exchanges(
        self, session: SessionRow, rows: list[DbRow], key: bytes | None
    ) -> Iterator[KeptExchange]:
        for exchange, _ in rebuild(self._records(session, rows, key)):
            yield exchange

    def _note_outlived(self) -> None:
        """Once nothing lies in the folder alone, a start may do without it: note that."""
        rows = self._rows
        if rows is None or not rows.writes or rows.noted or self._sealer.queue.unfiled().earlier:
            return
        folder = self._folder_spool
        if not folder.names() and not folder.aside() and self._segments.outlive():
            rows.note_outlived()

    def _forget_positions(self) -> None:
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            known = connection.execute(select(spool_positions.c.file)).scalars().all()
        names = self._reader.names()  # afterwards: a member's is there before its position
        gone = [file for file in known if file not in names]
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            for file in gone:
                positions.forget(connection, file)
