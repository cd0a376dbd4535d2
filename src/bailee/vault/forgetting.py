"""Forgetting everything whose time has come: keys by their epochs, then rows, segments, the root.

Rules kept here:

* What is past its time is refused by whoever reads, from that moment on; the sweep makes it true of
  the bytes. Lag: until the end of the half-hour epoch, plus the time to the next sweep. Backups of
  the keyring follow at the next root rotation (by default at most a day later).
* The key goes first; rows and segments follow, in portions, and may follow later. What is deleted
  at somebody's word, and what a hold defers, ends one by one (`erasing`).
* One sweep at a time, and one rotation: who comes second waits. A step that fails stops no other,
  but for what would destroy keys that a hold was to keep.
* What was denied to everybody stays so, whatever a clock says afterwards.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    not_,
    or_,
    select,
)

from bailee.damage import Damages
from bailee.db.among import among, texts
from bailee.db.checks import sound, unsound
from bailee.db.engine import fold, past_indexes, reading, storage_errors
from bailee.db.metadata import Moment
from bailee.db.vault import (
    exchanges,
    sessions,
)
from bailee.keeping.holds import Holds, held_subjects
from bailee.keeping.receipts import (
    EXPIRY,
    INACCESSIBLE,
    REQUESTED,
    Due,
    Receipts,
    Record,
)
from bailee.keyring import Keyring, Rotation
from bailee.keyring.epochs import EPOCH_SECONDS, ends_at, last_ended
from bailee.keyring.rotation import STANDBYS
from bailee.vault.batch import DATA_CLASS
from bailee.vault.departing import forget_departed
from bailee.vault.erasing import HAS_SOME, Erasing
from bailee.vault.going_round import Round
from bailee.vault.record import subject_of
from bailee.vault.segments import Segments
from bailee.vault.steps import Steps
from bailee.vault.tombstones import Tombstones

_Found = TypeVar("_Found")

_ENDED = (
    sessions.c.expires_at > bindparam("after", type_=Moment),
    sessions.c.expires_at <= bindparam("until", type_=Moment),
)
_EXPIRED = (
    select(exchanges.c.segment_id)
    .join(sessions, sessions.c.number == exchanges.c.session)
    .where(*_ENDED)
    .distinct()
)
_WHOSE = select(sessions.c.owner).where(*_ENDED, sessions.c.id.not_in(held_subjects())).distinct()
_NO_ID = re.compile(r"[^A-Za-z0-9_:.~/ \-]")  # a damaged name may be none
_REMOVED_AT_ONCE = 1500  # sessions: the vault's lock is held for a fifth of a second
_FOLDED_AT_ONCE = 2  # portions: their pages are written to the file together
_ROTATED_EVERY = timedelta(minutes=15)
"""How soon one rotation follows another where only a rotation destroys keys: with the half hour of
an epoch and the time between two sweeps, what is past its time is gone within the hour."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did. `keks`: keys destroyed, each for a whole epoch; `sessions`: rows removed;
    `segments`: reclaimed; `shipped`: put into the object store; `rotated`: the root was. `waits`:
    what is due by its time waits for what an earlier process left (`recovery.WAITS`). `kept`: how
    many sessions there are that their person keeps by an act of their own.
    """

    keks: int
    sessions: int
    segments: int
    shipped: int
    rotated: bool
    receipts: int
    waits: bool
    kept: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How long what is destroyed can be recovered from older copies of the keyring, `at_most`; how
    much of that the root's own service takes (`of_root`); `until` when all is unrecoverable that is
    destroyed by now, None: it is.
    """

    at_most: timedelta
    of_root: timedelta
    until: datetime | None


@dataclass(slots=True)
class _Done:
    """What a sweep has done so far: see `SweepReport`."""

    keks: int = 0
    sessions: int = 0
    segments: int = 0
    shipped: int = 0
    rotated: bool = False
    receipts: int = 0
    waits: bool = False
    kept: int = 0


class Forgetting:
    """Expiry in one vault.

    The vault owns it and calls it, from any thread; of sweeps and rotations one goes on at a time.
    It has holds take their keys before it destroys any, and never waits for the sealer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        record: Record,
        lock: AbstractContextManager[object],
        holds: Holds,
        tombstones: Tombstones,
        erasing: Erasing,
        receipts: Receipts,
        damages: Damages,
        rotation_interval: Callable[[], timedelta],
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._record = record
        self._lock = lock
        self._holds = holds
        self._tombstones = tombstones
        self._erasing = erasing
        self._damages = damages
        self._rotation_interval = rotation_interval
        self._one = threading.RLock()  # taken before the vault's lock, never inside it
        self._round = Round()
        self.receipts = receipts

    def sweep(self, now: datetime, steps: Steps, *, waits: bool = False) -> SweepReport:
        """Everything that time brings, step by step. `waits`: but for what is due by its time."""
        done = _Done(waits=waits)
        with self._one:
            damaged = None
            with steps.step("holds"):
                damaged = self._holds.finish(now)
                if not waits:
                    self._defer_held(now)
            with steps.step("damaged holds"):
                if damaged is not None:
                    raise damaged
            with steps.step("deletions"):
                self._past(lambda: self._erasing.finish_erasures(now))
            if "holds" not in steps.failures and not waits:
                with steps.step("keys"):
                    done.keks = self._past(lambda: self._destroy_due(now))
            if "keys" in steps.done:
                with steps.step("rows"):
                    done.sessions = self._past(lambda: self._remove_expired(now))
                    while self._keyring.remove_dead():
                        pass
            with steps.step("segments"):
                done.shipped = self._segments.ship(now)
                done.segments = self._erasing.reclaim()
            with steps.step("rotation"):
                if self.rotation_due(now):
                    self.rotate(now)
                    done.rotated = True
                done.receipts += self.note_ended_roots(now)
            with steps.step("receipts"):
                done.receipts += self._past(lambda: self.receipts.reclaimed(now))
            with steps.step("tombstones"), self._lock:
                self._past(lambda: self._tombstones.remove_past(now))
            with steps.step("departed"):
                self._past(lambda: forget_departed(self._engine, now))
        return SweepReport(**asdict(done))

    def _past(self, act: Callable[[], _Found]) -> _Found:
        """What can be repeated, past an index that does not fit its table (`past_indexes`)."""
        return past_indexes(self._engine, act)

    def rotation_due(self, now: datetime) -> bool:
        """Whether something was destroyed, and an interval has passed since the last rotation."""
        return self._keyring.rotation_due(now, self._rotates_after().total_seconds())

    def _rotates_after(self) -> timedelta:
        """How long after a rotation the next one comes, as it is now."""
        usual = self._rotation_interval()
        return usual if self._keyring.overwrites else min(usual, _ROTATED_EVERY)

    def lag(self, now: datetime) -> Lag:
        """How long what is destroyed can be recovered from older copies of the keyring."""
        interval = self._rotates_after()
        at_most = interval + self._keyring.root_lag
        if not self._keyring.overwrites:
            at_most += STANDBYS
        until = self._keyring.unrecoverable_at(now, interval.total_seconds())
        return Lag(at_most, self._keyring.root_lag, until)

    def rotate(self, now: datetime) -> Rotation:
        """Rotate the root; what that did."""
        with self._one:
            self._mend()
            rotation = self._keyring.rotate_root()
            self._record(
                "keyring.rotated",
                f"generation {rotation.generation}",
                {
                    "replaced": rotation.replaced_keks,
                    "rewrapped": rotation.rewrapped_deks,
                    "behind": rotation.behind,
                },
            )
            for kind, name in rotation.damaged:
                self._enter_damaged(kind, name)
            self.note_ended_roots(now)
            return rotation

    def note_ended_roots(self, now: datetime) -> int:
        """Note on receipts that no root can be brought back that opened what they are of; on how
        many. A service may keep a root for days after it was destroyed.
        """
        with self._one:
            ended = self._keyring.ended_root(now)
            if ended is None:
                return 0
            return self._past(lambda: self.receipts.rotated(ended.generation, ended.began, now))

    def _mend(self) -> None:
        """Have put right what the keyring says of its keys and is not what was written, and say
        of which.
        """
        for where in self._keyring.mend():
            self._damages.note(where, "what it says was not what was written; it was put right.")
            kind, _, name = where.partition(" ")
            self._enter_damaged(kind.lower(), name or kind)

    def _enter_damaged(self, kind: str, name: str) -> None:
        self._record("keyring.damaged", _NO_ID.sub("~", name)[:200], {"key": kind})

    def _destroy_due(self, now: datetime) -> int:
        """Destroy the keys of ended epochs; first receipts, so that none is without."""
        self._mend()
        due = [kek for kek in self._keyring.due(now) if kek.data_class == DATA_CLASS]
        begun = [one for one in self.receipts.going() if one.kind == EXPIRY]
        known = {receipt.subject for receipt in begun}
        new = {kek.kek_id: ends_at(kek.epoch) for kek in due if kek.kek_id not in known}
        if new:
            ended = self._ended(new)
            with storage_errors("the vault's index"), self._engine.begin() as connection:
                begun += self.receipts.request(EXPIRY, ended, now, denied_by=connection)
        asked = [receipt for receipt in begun if receipt.state == REQUESTED]
        self.receipts.advance_all(asked, INACCESSIBLE, now)
        destroyed = self._keyring.destroy_due(now)
        self.receipts.let_go(begun, now)
        return len(destroyed)

    def _ended(self, keks: Mapping[str, datetime]) -> list[Due]:
        """KEKs that are to be destroyed, each with when its epoch ended."""
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return [
                Due(
                    kek,
                    self._expired(connection, _EXPIRED, end),
                    None,
                    DATA_CLASS,
                    self._expired(connection, _WHOSE, end),
                )
                for kek, end in keks.items()
            ]

    def _defer_held(self, now: datetime) -> None:
        """Receipts for held sessions whose epoch has ended: their destruction is deferred."""
        ended = sessions.c.expires_at <= ends_at(last_ended(now))
        self._erasing.end(
            select(sessions.c.id).where(ended, sessions.c.id.in_(held_subjects())), now
        )

    def end_past(self, now: datetime) -> None:
        """Destroy each session that is past its time at `now`, whose epoch has not ended yet too,
        as far as holds allow. The index says of those that are held that no time shows them.
        """
        self._erasing.end(select(sessions.c.id).where(sessions.c.expires_at <= now), now)

    def _remove_expired(self, now: datetime) -> int:
        """Remove the rows of the sessions whose epoch has ended, and the key of one that is under
        another epoch's, since it could not be moved. Of a session whose row is not sound it is the
        key that says whether its time has come: so whose key is gone is not asked for its check,
        but for one without exchanges, whose id may be what was changed.

        In the order of their numbers, as they were filed: so a portion lies close together in most
        of the index's trees, and few pages are written twice. While the vault's lock is held only
        the write-ahead log is written.
        """
        ended = (
            sessions.c.expires_at <= ends_at(last_ended(now)),
            sessions.c.id.not_in(held_subjects()),
        )
        query = select(sessions.c.id).where(*ended).order_by(sessions.c.number)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            due = texts(connection, query)
        removed = 0
        try:
            for number, start in enumerate(range(0, len(due), _REMOVED_AT_ONCE)):
                removed += self._remove_portion(due[start : start + _REMOVED_AT_ONCE], ended, now)
                if number % _FOLDED_AT_ONCE == _FOLDED_AT_ONCE - 1:
                    self._fold()
        finally:
            if due:
                self._fold()
        return removed + self._remove_unsound(now)

    def _remove_portion(
        self, some: list[str], ended: Sequence[ColumnElement[bool]], now: datetime
    ) -> int:
        with self._lock:
            living = {*self._keyring.living([subject_of(name) for name in some])}
            asked = [name for name in some if subject_of(name) in living]
            goes = or_(and_(not_(among(sessions.c.id, asked)), HAS_SOME), sound(sessions))
            still = select(sessions.c.id).where(among(sessions.c.id, some), *ended, goes)
            with storage_errors("the vault's index"), reading(self._engine) as connection:
                some = texts(connection, still)
            living.intersection_update(map(subject_of, some))
            if living:
                self._keyring.destroy(sorted(living))
            self._erasing.remove_rows(some, now)
        self._damages.forget_all("sessions", some)
        return len(some)

    def _fold(self) -> None:
        with storage_errors("the vault's index"):
            fold(self._engine)

    def _remove_unsound(self, now: datetime) -> int:
        """Remove the rows that are not sound and whose key is gone, of one part of the sessions,
        and note the others: what decides is checked where it is read, so there is time.

        One that has no exchanges stays, and stays named: its id may be what was changed.
        """
        unheld = sessions.c.id.not_in(held_subjects())
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            part = self._round.next(connection)
            bad = unsound(connection, sessions, part)
            wrong = (among(sessions.c.id, bad), not_(sound(sessions)))
            query = select(sessions.c.id).where(*wrong, unheld, HAS_SOME)
            found = list(connection.execute(query).scalars()) if bad else []
        living = set(self._keyring.living([subject_of(name) for name in found]))
        gone = [name for name in found if subject_of(name) not in living]
        self._damages.note_all("sessions", {*bad}.difference(gone))
        if gone:
            with self._lock:
                self._erasing.remove_rows(gone, now)
            self._damages.forget_all("sessions", gone)
        return len(gone)

    @staticmethod
    def _expired(connection: Connection, query: Select[str], end: datetime) -> list[str]:
        """What a query gives of the sessions whose epoch ended then."""
        since = end - timedelta(seconds=EPOCH_SECONDS)
        return list(connection.execute(query, {"after": since, "until": end}).scalars())
