"""Keys that end with what they were made for: a cloud session, or a server's run.

Rules kept here:

* Each is a row, so whoever follows keys (`db.change_log`) knows it, and so does the process that
  has the home next. Of the key itself its digest is kept.
* Whoever ends the session or the run deletes the row. In this process it is no key from the moment
  that was asked, though the row can't be reached; then the next sweep deletes it.
* None is good for ever, whatever becomes of what it was made for. A cloud session's ends with the
  longest that one may last. A run's is good for a day, and each sweep of that run extends it; so
  one that was killed leaves a key that the next process answers for a day at the most.
* A key is made only while whoever asked for it may still have it: that is asked while no key can be
  ended, so none is made beside a membership's end or an erasure.
* How many there are is bounded: of runs the oldest goes, of cloud sessions one more is refused.

Rows: O6, T2.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from bailee.accounts import keys
from bailee.accounts.account import ApiKey, Scope
from bailee.accounts.held import THIS_RUN, HeldAccounts
from bailee.accounts.roles import OPERATOR
from bailee.clock import Clock
from bailee.db.accounts import ephemeral_keys
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError
from bailee.ledger import Ledger

if TYPE_CHECKING:
    from bailee.ledger.particulars import Value

RUN_LASTS: Final = timedelta(days=1)
"""For how long a run's key is good without being extended."""
MOST_OF_RUNS: Final = 64
"""How many keys of runs there may be."""
MOST_OF_SESSIONS: Final = 10_000
"""How many keys of cloud sessions there may be."""
SESSION_ENDED: Final = "cloud session's end"
RUN_ENDED: Final = "server's end"
_WHAT: Final = "the accounts"


@dataclass(frozen=True, slots=True)
class _Made:
    """A key that was made, with its digest and itself."""

    key: ApiKey
    digest: bytes
    text: str


class EphemeralKeys:
    """The keys of cloud sessions and of runs. `Accounts` makes one, and shares with it what is in
    memory and the lock of whoever changes that; its methods may be called from any thread. It owns
    the rows of `ephemeral_keys`.
    """

    name: Final = "ephemeral_keys"

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        ledger: Ledger,
        random: Callable[[int], bytes],
        held: HeldAccounts,
        *,
        changing: threading.Lock,
    ) -> None:
        """`changing`: held by whoever changes a key, until memory agrees."""
        self._engine = engine
        self._clock = clock
        self._ledger = ledger
        self._random = random
        self._held = held
        self._changing = changing
        self._run: str | None = None
        self._unwritten: dict[str, str] = {}  # under `changing`: ended here, by whom; not on disk

    def for_run(self, account_id: str, *, scope: Scope) -> tuple[str, str]:
        """A key of an account that ends with this run: its id and itself.

        Raises:
            StorageError: it can't be kept.
        """
        with self._changing:
            self._run = self._run or self._random(8).hex()
            made = self._mint(account_id, THIS_RUN, OPERATOR.name, scope)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                gone = self._oldest_of_runs(connection)
                until = made.key.created_at + RUN_LASTS
                self._insert(connection, made, until, run=self._run)
                self._note(connection, made.key, {"run_only": True})
            for key_id in gone:
                self._held.keys.pop(key_id, None)
            # Here it is good while this process is: no sweep that is late ends it.
            self._held.keys[made.key.key_id] = (made.digest, made.key)
        return made.key.key_id, made.text

    def for_cloud_session(
        self,
        account_id: str,
        session: str,
        *,
        zero_retention: bool,
        by: str,
        lasts: timedelta,
        still: Callable[[], None],
    ) -> tuple[str, str]:
        """A key of an account for one cloud session: its id and itself. `lasts`: for how long at
        the most; `still` raises where whoever asked for the session may have it no more.

        Raises:
            InputError: code `over_quota`, there are as many as there may be; what `still` raises.
            StorageError: it can't be kept.
        """
        with self._changing:
            still()
            until = self._clock() + lasts
            made = self._mint(
                account_id, session, by, "cloud", zero_retention=zero_retention, until=until
            )
            with storage_errors(_WHAT), self._engine.begin() as connection:
                _refuse_more(connection)
                self._insert(connection, made, until, session=session)
                said: dict[str, Value] = {"cloud_session": session, "until": until.isoformat()}
                if zero_retention:
                    said["zero_retention"] = True
                self._note(connection, made.key, said)
            self._held.keys[made.key.key_id] = (made.digest, made.key)
        return made.key.key_id, made.text

    def end(self, key_id: str, *, by: str) -> None:
        """Such a key is good no more. Twice changes nothing, and another key is left as it is.

        Raises:
            StorageError: it can't be written. Here it is good no more; the next sweep writes it.
        """
        self._end_all([key_id], by)

    def end_of_session(self, session: str) -> None:
        """Keys of a cloud session are good no more, whichever process made them. Errors as in
        `end`.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = _ids(connection, ephemeral_keys.c.session == session)
        self._end_all(found, SESSION_ENDED)

    def end_of_sessions(self) -> None:
        """No cloud session has a key any more: for who takes a home's sessions up, before anything
        runs. Errors as in `end`.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = _ids(connection, ephemeral_keys.c.session.is_not(None))
        self._end_all(found, SESSION_ENDED)

    def end_of_run(self) -> None:
        """The keys of this run are good no more. Errors as in `end`."""
        if self._run is None:
            return
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = _ids(connection, ephemeral_keys.c.run == self._run)
        self._end_all(found, RUN_ENDED)

    def end_in(self, connection: Connection, key_id: str) -> None:
        """Delete a key's row in the transaction of whoever ends it, and then has it in memory no
        more.
        """
        connection.execute(delete(ephemeral_keys).where(ephemeral_keys.c.id == key_id))

    def sweep(self, now: datetime) -> dict[str, int]:
        """Extend what this run has, and delete what is past its time; how many those were.

        Raises:
            StorageError: the store failed.
        """
        with self._changing:
            self._write()
            late = ephemeral_keys.c.expires_at <= now + RUN_LASTS / 2
            with storage_errors(_WHAT), reading(self._engine) as connection:
                soon = _ids(connection, late)
            if not soon:
                return {self.name: 0}
            over = ephemeral_keys.c.expires_at <= now
            with storage_errors(_WHAT), self._engine.begin() as connection:
                if self._run is not None:
                    ours = late & (ephemeral_keys.c.run == self._run)
                    extend = update(ephemeral_keys).where(ours)
                    connection.execute(extend.values(expires_at=now + RUN_LASTS))
                gone = _ids(connection, over)
                connection.execute(delete(ephemeral_keys).where(over))
            for key_id in gone:
                self._held.keys.pop(key_id, None)
        return {self.name: len(gone)}

    def _end_all(self, key_ids: Iterable[str], by: str) -> None:
        with self._changing:
            for key_id in key_ids:
                held = self._held.keys.get(key_id)
                if held is not None and held[1].ephemeral:
                    self._unwritten[key_id] = by
                    del self._held.keys[key_id]
            self._write()

    # -- under the lock --------------------------------------------------------------------------

    def _mint(
        self,
        account_id: str,
        name: str,
        by: str,
        scope: Scope,
        *,
        zero_retention: bool = False,
        until: datetime | None = None,
    ) -> _Made:
        minted = keys.mint(self._random(keys.RANDOM_BYTES))
        key = ApiKey(
            minted.key_id,
            account_id,
            name,
            zero_retention,
            self._clock(),
            None,
            created_by=by,
            scope=scope,
            expires_at=until,
            ephemeral=True,
        )
        return _Made(key, minted.digest, minted.key)

    def _insert(
        self,
        connection: Connection,
        made: _Made,
        until: datetime,
        *,
        session: str | None = None,
        run: str | None = None,
    ) -> None:
        key = made.key
        connection.execute(
            insert(ephemeral_keys).values(
                id=key.key_id,
                account_id=key.account_id,
                digest=made.digest,
                zero_retention=key.zero_retention,
                created_at=key.created_at,
                created_by=key.created_by,
                scope=key.scope,
                session=session,
                run=run,
                expires_at=until,
            )
        )

    def _note(self, connection: Connection, key: ApiKey, more: dict[str, Value]) -> None:
        body = {"account": key.account_id, "by": key.created_by, "scope": key.scope, **more}
        self._ledger.append("key.created", key.key_id, body, connection=connection)

    def _oldest_of_runs(self, connection: Connection) -> list[str]:
        """Make room for one more of a run; the ids of those that went."""
        of_runs = ephemeral_keys.c.run.is_not(None)
        newest = select(ephemeral_keys.c.id).where(of_runs)
        newest = newest.order_by(ephemeral_keys.c.created_at.desc()).limit(MOST_OF_RUNS - 1)
        kept = {*connection.execute(newest).scalars()}
        gone = [one for one in _ids(connection, of_runs) if one not in kept]
        for key_id in gone:
            self.end_in(connection, key_id)
            said = {"by": OPERATOR.name}
            self._ledger.append("key.revoked", key_id, said, connection=connection)
        return gone

    def _write(self) -> None:
        """Write what was ended in memory."""
        for key_id, by in tuple(self._unwritten.items()):
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self.end_in(connection, key_id)
                self._ledger.append("key.revoked", key_id, {"by": by}, connection=connection)
            del self._unwritten[key_id]


def _ids(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(ephemeral_keys.c.id).where(which)).scalars())


def _refuse_more(connection: Connection) -> None:
    there = select(func.count()).where(ephemeral_keys.c.session.is_not(None))
    if connection.execute(there).scalar_one() >= MOST_OF_SESSIONS:
        raise InputError(
            f"there are {MOST_OF_SESSIONS} keys of cloud sessions, and there may be no more.",
            code="over_quota",
            hint="end cloud sessions: bailee cloud stop",
        )
