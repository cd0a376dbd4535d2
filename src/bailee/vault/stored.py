"""What each account has on disk that is sealed, in bytes: a sum that is kept, never searched for.

The table `stored` has the sums and changes in the transactions that change what they are of, so a
crash leaves both or neither; memory has a copy, since it is asked for each request.

Rules kept here:

* What is counted is the ciphertext and, by a fixed reckoning, the index: an exchange of a few bytes
  with thousands of messages takes more room there than in its segment.
* What was deleted is not `living` from then on. Its ciphertext lies in its segment until nothing
  else does, and is counted as `gone` until that is removed.
* A sum is checked, and can be told from what it is of (`counted`): where a row is not what was
  written, all are counted anew at the next start. `verify` compares: it is how a session is missed
  whose row is gone with all its exchanges'.
* A copy in memory is set to what the table says, not added to: a transaction whose success was lost
  makes it wrong until the account's next one, no longer.

Rows: G1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, not_, select

from bailee.db.among import among, among_numbers
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import greatest
from bailee.db.portable import insert as upsert
from bailee.db.vault import (
    exchanges,
    segments,
    session_words,
    sessions,
    stored,
    unreclaimed,
)

SESSION: Final = 1200
EXCHANGE: Final = 500
"""Bytes that a row takes in the index, with its keys: of `sessions`, `exchanges`."""

PLACE: Final = 24
"""Likewise what is in a row of `exchanges` for each place (`places`)."""

WORDS: Final = 100
"""Likewise of `session_words`, beside what it is of."""

_WHAT: Final = "the vault's index"
_OF_WORDS: Final = func.count() * WORDS + func.sum(
    func.length(session_words.c.about) + func.length(session_words.c.words)
)
_OF_RECORDS: Final = (
    func.count() * EXCHANGE
    + func.sum(exchanges.c.length)
    + func.coalesce(func.sum(func.length(exchanges.c.places)), 0)
)
_ADD = upsert(stored)
_ADD_TO: Final = _ADD.on_conflict_do_update(
    index_elements=["owner"],
    set_={
        # Never under nothing: rows may have been lost before they were removed.
        "living": greatest(0, stored.c.living + _ADD.excluded.living),
        "gone": greatest(0, stored.c.gone + _ADD.excluded.gone),
    },
).returning(stored)
_LEAVE = upsert(unreclaimed).values(
    segment_id=bindparam("segment_id"), owner=bindparam("owner"), bytes=bindparam("bytes")
)
_LEAVE_IN: Final = _LEAVE.on_conflict_do_update(
    index_elements=["segment_id", "owner"],
    set_={"bytes": unreclaimed.c.bytes + _LEAVE.excluded.bytes},
)


@dataclass(frozen=True, slots=True)
class Sum:
    """Bytes: of what is kept, and of what was deleted and lies in a segment still."""

    living: int = 0
    gone: int = 0


Sums = dict[str, Sum]
"""By account."""


def kept(connection: Connection) -> Sums:
    """The sums as they are kept."""
    return {row.owner: Sum(row.living, row.gone) for row in connection.execute(select(stored))}


def counted(connection: Connection) -> Sums:
    """The same, of what is in the index now."""
    living: dict[str, int] = {}
    whose = sessions.c.owner
    for query in (
        select(whose, func.count() * SESSION),
        select(whose, _OF_RECORDS).join(exchanges, exchanges.c.session == sessions.c.number),
        select(whose, _OF_WORDS).join(session_words, session_words.c.session == sessions.c.number),
    ):
        for owner, size in connection.execute(query.group_by(whose)):
            living[owner] = living.get(owner, 0) + size
    left = select(unreclaimed.c.owner, func.sum(unreclaimed.c.bytes))
    gone: dict[str, int] = {}
    for owner, size in connection.execute(left.group_by(unreclaimed.c.owner)):
        gone[owner] = size
    return {
        owner: Sum(living.get(owner, 0), gone.get(owner, 0))
        for owner in sorted(living.keys() | gone.keys())
    }


class Stored:
    """The sums of one vault. What changes them is called with the vault's lock held, in the
    caller's transaction, and `note` once that is committed; `of` and `all` from any thread.
    """

    def __init__(self, engine: Engine) -> None:
        """Of a vault that is indexed in `engine` (migrated).

        Raises:
            StorageError: the index can't be read.
        """
        self._engine = engine
        damaged = select(stored.c.owner).where(not_(sound(stored))).limit(1)
        with storage_errors(_WHAT), reading(engine) as connection:
            changed = connection.execute(damaged).first() is not None
            self._take(kept(connection))
        if changed:
            self.recount()

    def recount(self) -> None:
        """Set every sum to what it is of: a row of it is not what was written, or rows are gone for
        good at somebody's word.

        Raises:
            StorageError: the index can't be read or written.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            sums = counted(connection)
            connection.execute(delete(stored))
            for owner, one in sums.items():
                row = {"owner": owner, "living": one.living, "gone": one.gone}
                connection.execute(insert(stored), row)
        self._take(sums)

    def _take(self, sums: Sums) -> None:
        self._sums = sums
        self._all = sum(one.living + one.gone for one in sums.values())

    def of(self, owner: str) -> Sum:
        """An account's. Takes no lock and asks nobody."""
        return self._sums.get(owner, _NOTHING)

    @property
    def all(self) -> int:
        """Everybody's, in bytes."""
        return self._all

    @property
    def accounts(self) -> int:
        """How many accounts have something."""
        return len(self._sums)

    def add(self, connection: Connection, living: Mapping[str, int]) -> Sums:
        """So many bytes more are kept of these accounts; their new sums, to `note`."""
        return self._add(connection, living, {})

    def remove(
        self, connection: Connection, session_ids: Sequence[str], numbers: Sequence[int]
    ) -> Sums:
        """The rows of these sessions are about to be removed, and what is under these numbers of
        theirs. New sums, to `note`.
        """
        living: dict[str, int] = {}
        gone: dict[str, int] = {}
        whose = select(sessions.c.owner, func.count()).group_by(sessions.c.owner)
        for owner, count in connection.execute(whose.where(among(sessions.c.id, session_ids))):
            living[owner] = count * SESSION
        within = (among(sessions.c.id, session_ids), among_numbers(sessions.c.number, numbers))
        words = select(sessions.c.owner, _OF_WORDS).join(
            session_words, session_words.c.session == sessions.c.number
        )
        for owner, size in connection.execute(words.where(*within).group_by(sessions.c.owner)):
            living[owner] += size
        records = select(
            sessions.c.owner, exchanges.c.segment_id, _OF_RECORDS, func.sum(exchanges.c.length)
        ).join(exchanges, exchanges.c.session == sessions.c.number)
        left = []
        for owner, segment_id, whole, size in connection.execute(
            records.where(*within).group_by(sessions.c.owner, exchanges.c.segment_id)
        ):
            living[owner] += whole
            gone[owner] = gone.get(owner, 0) + size
            left.append({"segment_id": segment_id, "owner": owner, "bytes": size})
        if left:
            connection.execute(_LEAVE_IN, left)
        return self._add(connection, {owner: -size for owner, size in living.items()}, gone)

    def note(self, sums: Sums) -> None:
        """A transaction is committed that came to these sums."""
        for owner, one in sums.items():
            was = self._sums.get(owner, _NOTHING)
            self._all += one.living + one.gone - was.living - was.gone
            self._sums[owner] = one
            if one == _NOTHING:
                del self._sums[owner]

    def reclaimed(self) -> None:
        """Segments were removed: what lay in them lies nowhere.

        Raises:
            StorageError: the index can't be written; call again.
        """
        removed = unreclaimed.c.segment_id.not_in(select(segments.c.id))
        query = select(unreclaimed.c.owner, func.sum(unreclaimed.c.bytes)).where(removed)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            sizes = connection.execute(query.group_by(unreclaimed.c.owner)).all()
            sums = self._add(connection, {}, {owner: -size for owner, size in sizes})
            if sums:
                connection.execute(delete(unreclaimed).where(removed))
                self._drop_empty(connection)
        self.note(sums)

    def forget(self, owner: str) -> None:
        """An account is gone, and nobody is to be told of what lies in segments of it.

        Raises:
            StorageError: the index can't be written; call again.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(unreclaimed).where(unreclaimed.c.owner == owner))
            found = self.of(owner)
            sums = self._add(connection, {}, {owner: -found.gone})
            self._drop_empty(connection)
        self.note(sums)

    @staticmethod
    def _drop_empty(connection: Connection) -> None:
        connection.execute(delete(stored).where(stored.c.living <= 0, stored.c.gone <= 0))

    @staticmethod
    def _add(connection: Connection, living: Mapping[str, int], gone: Mapping[str, int]) -> Sums:
        rows = [
            {"owner": owner, "living": living.get(owner, 0), "gone": gone.get(owner, 0)}
            for owner in living.keys() | gone.keys()
        ]
        if not rows:
            return {}
        found = connection.execute(_ADD_TO, rows)
        return {row.owner: Sum(row.living, row.gone) for row in found}


_NOTHING: Final = Sum()
