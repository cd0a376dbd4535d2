"""What was deleted stays deleted: nothing that goes on with it is kept, until 30 days after the
last that did.

A client sends the whole conversation again at every turn. So a turn that was under way when its
session was deleted, and one that comes later, bring the deleted words back. A tombstone says which
conversation that was: by the id that its client gave it, by how its conversations began, up to
their first answer, and by the ids of its answers and sub-agents. An exchange of the same owner with
that id or such a beginning, or that names one of those, is not kept, whenever it began. The
policy's clause on resuming says so; how many these were is counted (`unkept`).

Rules kept here:

* A tombstone is on disk with the word that nobody reads the session any more, in one transaction.
* The audit record has it too, under the owner's key, in the same transaction: after a restore of an
  older backup it holds all the same (`put_back`).
* No word of the session is in it: keyed digests alone, which go `LASTS` after they were last met:
  a conversation that goes on would bring everything back on the day after.
* Who has deleted nothing pays nothing: only their exchanges are compared who have; everybody's,
  while the row of a tombstone is not what was written, since it may be its owner that was changed.
* Its digest is there twice, and either holds: one that was changed lets nothing back.
* What can't be told by an id or a beginning (a client that has summed up the conversation anew, or
  a body that can't be taken apart, without an id) is a conversation of its own.

Rows: R5.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, delete, not_, select, union, update

from bailee.api import Api
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as insert_or_ignore
from bailee.db.vault import tombstones, unkept
from bailee.ledger.particulars import Body
from bailee.vault.conversations import beginnings
from bailee.vault.packing import JSON

LASTS: Final = timedelta(days=30)
"""As long as a client keeps what it can resume, and the spool what is not sealed."""

_WHAT: Final = "the vault's index"
_TOGETHER: Final = 4  # digests in one entry
_EITHER: Final = (tombstones.c.digest, tombstones.c.again)


class AppendOwned(Protocol):
    """`Ledger.append`, of what is somebody's, within a transaction. Called with the vault's lock
    held.
    """

    def __call__(
        self, kind: str, subject: str, body: Body, *, whose: str, connection: Connection
    ) -> object:
        """See `Ledger.append`."""


class Tombstones:
    """The tombstones of one vault: their rows, and in memory which owners have any. The vault makes
    it; batches and what erases call it with the vault's lock held, a restore before anything is
    served. It has no word of what was deleted.
    """

    def __init__(self, engine: Engine, key: bytes, append: AppendOwned | None = None) -> None:
        """`append` adds to the audit record; None: there is none. Raises: StorageError."""
        self._engine = engine
        self._key = key
        self._append = append
        with storage_errors(_WHAT), reading(engine) as connection:
            self._look(connection)

    def _look(self, connection: Connection) -> None:
        """See who has any, and whether that can be told."""
        found = connection.execute(select(tombstones.c.owner).distinct()).scalars()
        self._owners = set(found)
        damaged = select(tombstones.c.digest).where(not_(sound(tombstones))).limit(1)
        self._damaged = connection.execute(damaged).first() is not None

    def beginnings(
        self, owner: str, messages: Iterable[JSON] | None, api: Api = Api.MESSAGES
    ) -> tuple[bytes, ...]:
        """See `conversations.beginnings`."""
        return beginnings(self._key, owner, messages, api)

    def bury_session(
        self,
        connection: Connection,
        session_id: str,
        owner: str,
        digests: Collection[bytes],
        now: datetime,
    ) -> None:
        """Let nothing be kept that goes on with a session of an owner's, which `digests` name; on
        record.
        """
        self.put(connection, owner, digests, now)
        if self._append is not None:
            some = sorted(digests)
            for start in range(0, len(some), _TOGETHER):
                together = some[start : start + _TOGETHER]
                again = ",".join(base64.b64encode(one).decode() for one in together)
                self._append(
                    "session.buried",
                    session_id,
                    {"account": owner, "again": again},
                    whose=owner,
                    connection=connection,
                )

    def put_back(self, owner: str, again: str, now: datetime) -> None:
        """Let hold what an entry of the audit record says, after a restore.

        Raises:
            ValueError: it is none of ours.
        """
        digests = [base64.b64decode(one, validate=True) for one in again.split(",")]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self.put(connection, owner, digests, now)

    def put(
        self, connection: Connection, owner: str, digests: Iterable[bytes], now: datetime
    ) -> None:
        """Let nothing be kept that goes on with what `digests` name, of an owner's."""
        until = now + LASTS
        rows = [{"digest": one, "owner": owner, "until": until, "again": one} for one in digests]
        if rows:
            statement = insert_or_ignore(tombstones)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["digest"], set_={"until": statement.excluded.until}
                ),
                rows,
            )
            self._owners.add(owner)

    def bury(
        self,
        connection: Connection,
        owner: str,
        client: bytes | None,
        begins: Iterable[bytes],
    ) -> list[bytes]:
        """The digests by which an exchange goes on with what its owner deleted; none: it does not.
        `client`: the digest of the id that its client gave the session; `begins`: how the
        conversation began (`beginnings`), and what it names of it (`conversations.Links`).
        """
        if owner not in self._owners and not self._damaged:
            return []
        digests = [*([] if client is None else [client]), *begins]
        either = union(*(select(one).where(one.in_(digests)) for one in _EITHER))
        return list(connection.execute(either).scalars())

    def renew(self, connection: Connection, digests: Collection[bytes], now: datetime) -> None:
        """Let those that were met last on from `now`."""
        if digests:
            until = now + LASTS
            older = tombstones.c.digest.in_(digests) & (tombstones.c.until < until)
            connection.execute(update(tombstones).where(older).values(until=until))

    def forget(self, owner: str) -> None:
        """Remove an owner's: they are erased, and nothing of theirs is kept any more anyway."""
        if owner in self._owners:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(delete(tombstones).where(tombstones.c.owner == owner))
                connection.execute(delete(unkept).where(unkept.c.owner == owner))
            self._owners.discard(owner)

    def remove_past(self, now: datetime) -> None:
        """Remove those whose time is over. One whose row is not what was written holds still: when
        its time is over nobody knows, and `verify` names it.
        """
        if self._owners or self._damaged:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                past = tombstones.c.until <= now
                connection.execute(delete(tombstones).where(past, sound(tombstones)))
                connection.execute(delete(unkept).where(unkept.c.last <= now - LASTS))
                self._look(connection)
