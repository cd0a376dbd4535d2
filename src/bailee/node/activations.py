"""Which policy document holds in a home: the record of it, and who has yet to see what changed.

Rules kept here:

* What holds is what is on record, wherever the process was broken off: a document, its entry in the
  audit record and whom it concerns are committed in one transaction, and taken up in memory after.
* The document that the settings name is a home's first, and no more: another one is activated.
* What is on record is proved again at each start. Where it can't be used (another version of the
  program reads another format, or the disk has changed it), a document takes its place that
  somebody named: the shipped one of the same version, or the one in the settings. It is recorded as
  any other. Otherwise nothing is opened.
* By what is on record now, documents are in order by number; no clock is asked.

Rows: P4, P5.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update

from bailee.clock import Clock
from bailee.damage import Damages
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.many import put
from bailee.db.policy import policy_activations, policy_documents, policy_notices, policy_seen
from bailee.errors import InputError, IntegrityError
from bailee.keeping.keeper import Owner
from bailee.ledger import Ledger
from bailee.node.old_entries import NOBODY
from bailee.policy import Policy, Unsound
from bailee.policy.holding import InForce, PolicyHolder
from bailee.policy.loading import VERSIONS, from_bytes, name_of, shipped, shipped_as
from bailee.policy.loading import content as content_of

KIND: Final = "policy.activated"
_WHAT: Final = "the policy documents"
_REPLACED: Final = "the document that held could not be read by this version"
_ROWS: Final = (
    select(
        policy_activations,
        func.coalesce(policy_documents.c.version, "").label("version"),
        func.coalesce(policy_documents.c.shipped, False).label("shipped"),
        sound(policy_activations).label("sound"),
    )
    .outerjoin(policy_documents, policy_documents.c.sha256 == policy_activations.c.document)
    .order_by(policy_activations.c.number)
)


@dataclass(frozen=True, slots=True)
class Activation:
    """A document came to hold. As `db.policy.policy_activations` has it."""

    number: int
    at: datetime
    document: str
    version: str
    before: str | None
    by: str
    since: int
    sessions: int
    accounts: int
    told: int


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom a document concerns: how many sessions of how many accounts are decided otherwise, and
    the ids of the accounts whose terms change, which are told.
    """

    sessions: int = 0
    accounts: int = 0
    told: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class UnseenChange:
    """What somebody has not seen yet: what came to hold up to `number`, from `first` on. `before`:
    the operator's document (SHA-256) that held before that.
    """

    number: int
    first: int
    before: str


class Activations:
    """The record of one home. `node.ground` makes it and begins it; operations and an erasure call
    it, on any thread. It owns its tables and the `PolicyHolder` that everything else reads. It
    decides nothing about a document: whoever activates one has proved and compared it.
    """

    holding: PolicyHolder
    """What holds. There once `begin` has been called."""

    def __init__(self, engine: Engine, ledger: Ledger, clock: Clock, damages: Damages) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._damages = damages
        self._activating = threading.Lock()

    # -- what holds ------------------------------------------------------------------------------

    def begin(self, named: Path | None) -> PolicyHolder:
        """What holds, from the record; in a new home the document that the settings name.

        Raises:
            InputError, Unsound: a home's first document can't be used.
            IntegrityError: what is on record can't be used, and nobody named another.
            StorageError: the database failed.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(_ROWS).all()
            newest = rows[-1] if rows else None
            content = None
            if newest is not None and newest.sound:
                content = _content(connection, newest.document)
        if newest is None:
            self.holding = PolicyHolder(self._first(named))
            return self.holding
        policy = _read(content)
        if policy is None:
            self._damages.note(f"policy_activations {newest.number}", "its document can't be used.")
            return self._replace(newest, named)
        self.holding = PolicyHolder(policy, newest.since)
        return self.holding

    def _first(self, named: Path | None) -> Policy:
        content = content_of(named)
        policy = from_bytes(content, name_of(named))
        known = self._ledger.latest(1, kind=KIND)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            number = known[0].number if known else 0
            if not known or known[0].subject != policy.sha256:
                entry = {"version": policy.version, "by": "operator"}
                number = self._ledger.append(KIND, policy.sha256, entry, connection=connection)
            self._keep(connection, policy, content)
            self._note(connection, (number, 0), (policy.sha256, None), "operator", Concerned())
        return policy

    def _replace(self, newest: DbRow, named: Path | None) -> PolicyHolder:
        """Let another document hold in the place of one that can't be used."""
        content = None
        if named is not None:
            content = content_of(named)
        elif newest.sound and newest.shipped and newest.version in VERSIONS:
            content = shipped(newest.version)
        if content is None:
            raise IntegrityError(
                "the policy document that holds can't be read: it is damaged, or of another "
                "version of bailee.",
                hint="name the document that is to hold with `bailee up --policy`, or install the "
                "version of bailee that it is for; nothing was changed",
            )
        policy = from_bytes(content, name_of(named) if named else newest.version)
        self.holding = PolicyHolder(policy)
        self.activate(policy, content, by="operator", reason=_REPLACED, concerned=Concerned())
        return self.holding

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else can activate a document."""
        with self._activating:
            yield

    def activate(
        self, policy: Policy, content: bytes, *, by: str, reason: str, concerned: Concerned
    ) -> Activation:
        """Let a document hold from now on; on disk, and in force, when this returns. Whoever calls
        it is `alone`.

        Raises:
            StorageError: it can't be recorded; the one before holds.
        """
        before = self.holding.policy.sha256
        with storage_errors(_WHAT), self._engine.begin() as connection:
            number = self._ledger.append(
                KIND,
                policy.sha256,
                {
                    "version": policy.version,
                    "before": before,
                    "by": by,
                    "reason": reason,
                    "sessions": concerned.sessions,
                    "accounts": concerned.accounts,
                    "told": len(concerned.told),
                },
                whose=NOBODY,
                connection=connection,
            )
            self._keep(connection, policy, content)
            at = self._note(connection, (number, number), (policy.sha256, before), by, concerned)
            put(
                connection,
                policy_notices,
                [{"account_id": one, "number": number} for one in concerned.told],
            )
        self.holding.take(InForce(policy, number))
        return Activation(
            *(number, at, policy.sha256, policy.version, before, by, number),
            *(concerned.sessions, concerned.accounts, len(concerned.told)),
        )

    def _keep(self, connection: Connection, policy: Policy, content: bytes) -> None:
        """Keep a document whole; what is there of it may be damaged, so it is written anew."""
        table = policy_documents
        connection.execute(delete(table).where(table.c.sha256 == policy.sha256))
        connection.execute(
            insert(table).values(
                sha256=policy.sha256,
                version=policy.version,
                content=content,
                shipped=shipped_as(content) is not None,
            )
        )

    def _note(
        self,
        connection: Connection,
        numbers: tuple[int, int],
        documents: tuple[str, str | None],
        by: str,
        concerned: Concerned,
    ) -> datetime:
        (number, since), (document, before), at = numbers, documents, self._clock()
        connection.execute(
            insert(policy_activations).values(
                number=number,
                at=at,
                document=document,
                before=before,
                by=by,
                since=since,
                sessions=concerned.sessions,
                accounts=concerned.accounts,
                told=len(concerned.told),
            )
        )
        return at

    # -- what held -------------------------------------------------------------------------------

    def all(self) -> list[Activation]:
        """Every activation whose row is as it was written, in order."""
        fields = Activation.__slots__
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(_ROWS).all()
        return [
            Activation(**{name: getattr(row, name) for name in fields}) for row in rows if row.sound
        ]

    def policy_of(self, document: str) -> Policy | None:
        """The policy of a document that held, by its SHA-256 (hex); None: it is not there whole, or
        this version of the program can't read it.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            content = _content(connection, document)
        return _read(content)

    # -- who has seen what -----------------------------------------------------------------------

    def unseen(self, account_id: str, who: str) -> UnseenChange | None:
        """What has changed for an account that somebody has not seen; None: nothing."""
        notices, acts = policy_notices.c, policy_activations.c
        seen = (
            select(policy_seen.c.number)
            .where(policy_seen.c.account_id == account_id, policy_seen.c.who == who)
            .scalar_subquery()
        )
        query = (
            select(func.min(notices.number), func.max(notices.number))
            .where(notices.account_id == account_id)
            .where(notices.number > func.coalesce(seen, 0))
        )
        held = select(acts.document).where(sound(policy_activations)).order_by(acts.number.desc())
        with storage_errors(_WHAT), reading(self._engine) as connection:
            first, last = connection.execute(query).one()
            if first is None:
                return None
            before = connection.execute(held.where(acts.number < first).limit(1)).scalar()
        return None if before is None else UnseenChange(last, first, before)

    def told(self, of: str | None = None) -> dict[str, int]:
        """By account (only the one, if it is given), the number of the last activation, or change
        of its organisation's own document, by which its terms changed.
        """
        notices = policy_notices.c
        query = select(notices.account_id, func.max(notices.number)).group_by(notices.account_id)
        if of is not None:
            query = query.where(notices.account_id == of)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def saw(self, account_id: str, who: str, number: int, at: datetime) -> None:
        """Somebody has seen what changed up to an activation. Twice changes nothing."""
        table = policy_seen
        mine = (table.c.account_id == account_id, table.c.who == who)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            known = connection.execute(select(table.c.number).where(*mine)).scalar()
            if known is None:
                row = {"account_id": account_id, "who": who, "number": number, "at": at}
                connection.execute(insert(table).values(**row))
            elif known < number:
                connection.execute(update(table).where(*mine).values(number=number, at=at))

    def seen_by(self, who: str) -> Mapping[str, tuple[int, datetime]]:
        """By account, up to which activation somebody has seen what changed, and when they did."""
        table = policy_seen.c
        query = select(table.account_id, table.number, table.at).where(table.who == who)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {row.account_id: (row.number, row.at) for row in connection.execute(query)}

    def forget(self, whose: Owner) -> None:
        """Remove what is noted of somebody's seeing. Can be repeated."""
        ids = [one for one in (whose.account_id, whose.person_id) if one is not None]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            theirs = or_(policy_seen.c.account_id.in_(ids), policy_seen.c.who.in_(ids))
            connection.execute(delete(policy_seen).where(theirs))
            connection.execute(delete(policy_notices).where(policy_notices.c.account_id.in_(ids)))


def in_force(connection: Connection) -> InForce:
    """What holds, by the record, in a home that another process has. Nothing takes the place of a
    document that can't be used: that is for whoever has the home.

    Raises:
        IntegrityError: it is not there whole, or this version of the program can't read it.
    """
    acts = policy_activations.c
    query = select(acts.document, acts.since, sound(policy_activations).label("sound"))
    row = connection.execute(query.order_by(acts.number.desc()).limit(1)).first()
    policy = _read(_content(connection, row.document)) if row is not None and row.sound else None
    if row is None or policy is None:
        raise IntegrityError(
            "the policy document that holds can't be read: it is damaged, or of another version of "
            "bailee.",
            hint="see what the server says that has this home; nothing was changed",
        )
    return InForce(policy, row.since)


def held_before(connection: Connection, number: int) -> Policy | None:
    """The operator's policy that held before an entry of the audit record; None: nobody knows any
    more which, or it is not there whole.
    """
    acts = policy_activations.c
    query = select(acts.document, sound(policy_activations).label("sound"))
    earlier = query.where(acts.number < number).order_by(acts.number.desc()).limit(1)
    row = connection.execute(earlier).first()
    return _read(_content(connection, row.document)) if row is not None and row.sound else None


def _content(connection: Connection, document: str) -> bytes | None:
    """A document that held, by its SHA-256 (hex); None: it is not there whole."""
    query = select(policy_documents.c.content).where(policy_documents.c.sha256 == document)
    content: bytes | None = connection.execute(query).scalar()
    if content is None or hashlib.sha256(content).hexdigest() != document:
        return None
    return content


def _read(content: bytes | None) -> Policy | None:
    """The policy of a document on record; None: this version of the program can't read it."""
    try:
        return None if content is None else from_bytes(content, "the document on record")
    except (InputError, Unsound):
        return None
