"""One batch of captured exchanges on its way into the index: sessions found, records made.

Rules kept here:

* Nothing is committed here. A batch that fails leaves the caches to be dropped and bytes that
  nothing refers to.
* What it costs is linear in what came, and statements are few (`lookup`): a session's places are
  looked up once, as many as are bounded there, and the workbench remembers them.
* What goes on with a session that was deleted is dropped (`tombstones`), and counted (`unkept`).
  Whatever is dropped, `dropped` says whose it was and by which clause.
* The client's session id becomes the session's id only when it is a UUID that no other session has
  or had.
* Another process may file at the same time. What it did since this batch was placed is seen when
  the rows are put, and the batch is made anew (`OvertakenError`). What it files later, of a
  conversation whose next turn was filed here before, finds that by what that turn continued
  (`conversations.awaited`).
* A session is continued by what came before its end, however much later that is sealed, as long as
  its key is there. What came after its end begins another.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, select, update

from bailee.db.engine import DbRow
from bailee.db.many import put
from bailee.db.portable import insert as upsert
from bailee.db.vault import conversation_links, exchanges, sessions
from bailee.errors import IntegrityError
from bailee.keyring import Keyring, Want
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.policy.period import expires_at
from bailee.vault import lookup
from bailee.vault.conversations import Conversations, awaited
from bailee.vault.delta import digest_key
from bailee.vault.exchange import CapturedExchange, Terms
from bailee.vault.known import Place
from bailee.vault.places import stored
from bailee.vault.record import seal_record, subject_of
from bailee.vault.segments import Segments
from bailee.vault.stored import EXCHANGE, PLACE, SESSION, Stored, Sums
from bailee.vault.terms import PresentTerms, end_of, governing, known_consent, shorter
from bailee.vault.tombstones import Tombstones
from bailee.vault.unkept import count
from bailee.vault.workbench import USAGE, Apart, Bench, Missing, Packed, PackingOrder

DATA_CLASS = "transcript"
_MOST: Final = (1 << 63) - 1
_PLACE_SECONDS: Final = 1e-5  # of a processor, to file what a session has had

_CHANGE: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("which"), sessions.c.exchanges == bindparam("had"))
    .values({name: bindparam(name) for name in {*sessions.columns.keys()} - {"id", "number"}})
)

LINKS: Final = 200
"""Links that are kept of a session, the latest."""
_ALL_LINKS: Final = 100_000
_PUT = upsert(conversation_links)
_LINK: Final = _PUT.on_conflict_do_update(
    index_elements=["digest"], set_={"session_id": _PUT.excluded.session_id}
)
_OF_SESSION: Final = (
    select(conversation_links.c.number)
    .where(conversation_links.c.session_id == bindparam("session"))
    .order_by(conversation_links.c.number.desc())
    .offset(LINKS)
)
_UNLINK: Final = delete(conversation_links).where(conversation_links.c.number.in_(_OF_SESSION))
_UNLINK_ALL: Final = delete(conversation_links).where(
    conversation_links.c.number
    <= select(func.max(conversation_links.c.number)).scalar_subquery() - _ALL_LINKS
)


@dataclass(slots=True)
class BatchItem:
    """An exchange in a batch: the `place`-th of what was taken apart."""

    place: int
    exchange: CapturedExchange
    apart: Apart


class OvertakenError(Exception):
    """Another process has changed what a batch goes on with. Nothing was committed."""


@dataclass(slots=True)
class Working:
    """A session that a batch changes: its row's values, whether it is new, and how many exchanges
    it had.
    """

    values: dict[str, Any]
    new: bool
    had: int = 0

    @property
    def id(self) -> str:
        """The session's id."""
        found: str = self.values["id"]
        return found


def digest_of(key: bytes, *parts: str) -> bytes:
    """A keyed digest of identifiers, for the index."""
    state = hashlib.blake2b(digest_size=16, key=key)
    for part in parts:
        state.update(_part(part))
    return state.digest()


def digests_of(key: bytes, first: str, names: Iterable[str]) -> list[bytes]:
    """`digest_of` the key, `first` and each of the names."""
    begun = hashlib.blake2b(digest_size=16, key=key)
    begun.update(_part(first))
    found = []
    for name in names:
        state = begun.copy()
        state.update(_part(name))
        found.append(state.digest())
    return found


def _part(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded


def moment(seconds: float) -> datetime:
    """Unix seconds as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


class Batch:
    """Exchanges that are committed together. `seconds`: of a processor that each took, about, in
    their order.

    The sealer makes one for each, and calls it on its thread, with the vault's lock held: `place`,
    `encode`, `put_rows`, and `committed` once that is so. It commits nothing, and calls no API's
    reading: the workbench has done that.
    """

    def __init__(
        self,
        keyring: Keyring,
        segments: Segments,
        conversations: Conversations,
        bench: Bench,
        *,
        now: datetime,
        present: PresentTerms,
        tombstones: Tombstones,
        deleted_by: str,
        stored: Stored,
        wary: bool = False,
    ) -> None:
        """`deleted_by`: the clause by which nothing is kept that goes on with what was deleted.
        `wary`: a session whose key is damaged is not continued; another one begins.
        """
        self._wary = wary
        self._present = present
        self._tombstones = tombstones
        self._deleted_by = deleted_by
        self._stored = stored
        self._keyring = keyring
        self._segments = segments
        self._conversations = conversations
        self._bench = bench
        self._now = now
        self._key = keyring.secret("vault/identifiers")
        self._sessions: dict[str, Working] = {}
        self._clients: dict[int, bytes] = {}  # digests of clients' ids, by the exchange's place
        self._known = lookup.KnownRows()
        self._not_free: set[str] = set()  # of the ids that clients gave
        self._by_client: dict[bytes, str] = {}
        self._placed: list[tuple[BatchItem, Working, int]] = []
        self._rows: list[dict[str, object]] = []
        self._wrong: dict[str, dict[int, bytes]] = {}
        self._noted: dict[bytes, str] = {}
        self._unfound: set[bytes] = set()  # links that the index did not have
        self._met: set[bytes] = set()
        self._grown: dict[str, int] = {}  # bytes, by owner
        self._sums: Sums = {}
        self.seconds: list[float] = []
        self.expired = 0
        self.dropped: Counter[tuple[str, str]] = Counter()

    @property
    def owners(self) -> dict[str, str]:
        """The sessions that this batch changes, and whose each is."""
        return {one: session.values["owner"] for one, session in self._sessions.items()}

    def place(self, connection: Connection, items: Sequence[BatchItem]) -> None:
        """Find each exchange's session, in order, and move its expiry."""
        self.seconds = [item.apart.seconds for item in items]
        self._look_up(connection, items)
        for item in items:
            exchange = item.exchange
            ended = moment(exchange.ended_at)
            session = self._session(connection, item)
            if session is None:
                self.dropped[exchange.owner, self._deleted_by] += 1
                continue
            values = session.values
            began = max(values["last_request"], moment(exchange.started_at))
            latest = max(values["last_activity"], ended)
            terms, consent = self._terms(session, exchange, latest)
            until = expires_at(latest, terms.period)
            if until <= max(self._now, latest):  # kept for no time, whatever the clock says
                if until <= latest:
                    self.dropped[exchange.owner, terms.clause] += 1
                else:
                    self.expired += 1
                if session.new and not values["exchanges"]:
                    self._withdraw(session)
                continue
            values["last_activity"] = latest
            values["last_request"] = began
            values["last_consent"] = consent
            use = f"{exchange.plan}/{exchange.channel}"
            values["uses"] = " ".join(sorted({*values["uses"].split(), use}))
            values["started"] = min(values["started"], moment(exchange.started_at))
            values["expires_at"] = end_of(latest, terms.period, values["kept_until"])
            values["period"] = terms.period
            values["clause"] = terms.clause
            values["document"] = terms.document
            values["plan"] = exchange.plan
            values["channel"] = exchange.channel
            values["key_id"] = exchange.key_id
            number = values["exchanges"]
            values["exchanges"] += 1
            for name in USAGE:
                count = item.apart.usage.get(name, 0)
                if 0 <= count <= _MOST - values[name]:
                    values[name] += count
            self._placed.append((item, session, number))

    def encode(self, connection: Connection) -> None:
        """Make and seal the records, and give them to the open segments.

        Raises:
            IntegrityError: a session's key can't be opened.
            StorageError: the keyring or a segment can't be written.
        """
        deks = self._keyring.many(
            Want(subject_of(session.id), DATA_CLASS, session.values["expires_at"])
            for session in self._sessions.values()
        )
        keys = {session.id: deks[subject_of(session.id)].key for session in self._sessions.values()}
        for (item, session, number), packed in zip(
            self._placed, self._packed(connection, keys), strict=True
        ):
            # By their sessions: what goes together lies together in the index's tree.
            record_id = session.id[:8] + os.urandom(12).hex()
            sealed = seal_record(
                packed.compressed,
                keys[session.id],
                session_id=session.id,
                record_id=record_id,
                data_class=DATA_CLASS,
                nonce=os.urandom(NONCE_BYTES),
            )
            day = session.values["expires_at"].date().isoformat()
            segment = self._segments.take(DATA_CLASS, day, self._now)
            self._rows.append(
                {
                    "id": record_id,
                    "session": None,  # known once the session has its number
                    "number": number,
                    "segment_id": segment.id,
                    "offset": segment.append(sealed),
                    "length": len(sealed),
                    "exchange_id": item.exchange.exchange_id,
                    "started": item.exchange.started_at,
                    "ended": item.exchange.ended_at,
                    "outcome": str(item.exchange.outcome),
                    "status": item.exchange.status,
                    "places": stored(digest_key(keys[session.id]), packed.learned),
                }
            )
            self.seconds[item.place] += packed.seconds + _PLACE_SECONDS * len(packed.learned)
            session.values["bytes"] += len(sealed)
            self._grow(session, len(sealed) + EXCHANGE + PLACE * len(packed.learned))

    def put_rows(self, connection: Connection) -> None:
        """Put everything into the caller's transaction.

        Raises:
            OvertakenError: that must not be committed.
        """
        if lookup.linked(connection, self._unfound) or self._begun_elsewhere(connection):
            raise OvertakenError
        self._tombstones.renew(connection, self._met, self._now)
        deleted = {
            who: n for (who, clause), n in self.dropped.items() if clause == self._deleted_by
        }
        count(connection, deleted, self._deleted_by, self._now)
        every = self._sessions.values()
        new = [session for session in every if session.new]
        if new:
            first = lookup.next_number(connection)
            for number, session in enumerate(new, first):
                session.values["number"] = number
            put(connection, sessions, [session.values for session in new])
            for session in new:
                self._grow(session, SESSION)
        old = [{**one.values, "which": one.id, "had": one.had} for one in every if not one.new]
        if old and connection.execute(_CHANGE, old).rowcount != len(old):
            raise OvertakenError
        self._segments.put_rows(connection)
        for row, (_, session, _) in zip(self._rows, self._placed, strict=True):
            row["session"] = session.values["number"]
        put(connection, exchanges, self._rows)
        self._put_right(connection)
        self._put_links(connection)
        self._sums = self._stored.add(connection, self._grown)

    def _put_right(self, connection: Connection) -> None:
        """Remove the places that are not what was written: what was there is stored anew."""
        for session_id, wrong in self._wrong.items():
            session = self._sessions[session_id]
            for number, right in wrong.items():
                of_it = (
                    exchanges.c.session == session.values["number"],
                    exchanges.c.number == number,
                )
                had = select(func.length(exchanges.c.places)).where(*of_it)
                self._grow(session, len(right) - connection.execute(had).scalar_one())
                connection.execute(update(exchanges).where(*of_it).values(places=right))

    def _begun_elsewhere(self, connection: Connection) -> bool:
        """Whether a session that begins here has begun since by the id that its client gave it."""
        clients = {one.values["client_session"] for one in self._sessions.values() if one.new}
        found = lookup.known(connection, (), clients - {None}).by_client
        return any(
            len(rows) > len(self._known.by_client.get(client, [])) for client, rows in found.items()
        )

    def _put_links(self, connection: Connection) -> None:
        """Keep what can be continued, of each session and of all the latest."""
        rows = [{"digest": link, "session_id": one} for link, one in self._noted.items()]
        if not rows:
            return
        connection.execute(_LINK, rows)
        for session_id in {*self._noted.values()}:
            connection.execute(_UNLINK, {"session": session_id})
        connection.execute(_UNLINK_ALL)

    def committed(self) -> None:
        """The transaction has been committed."""
        self._segments.committed()
        self._stored.note(self._sums)
        for link, session_id in self._noted.items():
            self._conversations.note(link, session_id)

    def _grow(self, session: Working, size: int) -> None:
        owner = session.values["owner"]
        self._grown[owner] = self._grown.get(owner, 0) + size

    # -- sessions --------------------------------------------------------------------------------

    def _terms(
        self, session: Working, exchange: CapturedExchange, latest: datetime
    ) -> tuple[Terms, int]:
        """The terms of the session with this exchange: those captured with it, unless its owner has
        chosen otherwise while it was under way. And the last choice before its latest request.
        """
        present = self._present(exchange.owner, exchange.plan, exchange.channel)
        held = exchange.terms
        consent = known_consent(exchange.consent, present)
        consent = max(session.values["last_consent"], consent)
        if present is not None and not session.new:
            values = session.values
            before = Terms(values["period"], values["clause"], values["document"])
            held = shorter(held, before, latest)
        terms = governing(held, present, last_consent=consent, last_activity=latest)
        return terms, consent

    def _look_up(self, connection: Connection, items: Sequence[BatchItem]) -> None:
        """What the index has of the sessions that these may belong to."""
        ids = set()
        for item in items:
            owner, client = item.exchange.owner, item.apart.client_session
            if client is not None:
                self._clients[item.place] = digest_of(self._key, "client", owner, client)
        wanted = {
            link: None
            for item in items
            for links in (item.apart.links.continues, awaited(item.apart.links.leaves))
            for link in self._conversations.lacks(links)
        }
        linked = lookup.linked(connection, wanted)
        self._unfound = {*wanted} - {*linked}
        for link, session_id in linked.items():
            self._conversations.note(link, session_id)
        for item in items:
            links = item.apart.links
            for some in (links.continues, awaited(links.leaves)):
                if found := self._conversations.find(some, {}):
                    ids.add(found)
        self._known = lookup.known(connection, ids, set(self._clients.values()))
        uuids = {uuid for item in items if (uuid := _uuid(item.apart.client_session))}
        names = dict(zip(digests_of(self._key, "departed", uuids), uuids, strict=True))
        self._not_free = lookup.not_free(connection, names.values())
        self._not_free |= {names[digest] for digest in lookup.departed(connection, names)}

    def _session(self, connection: Connection, item: BatchItem) -> Working | None:
        """The session that an exchange belongs to; None if that was deleted."""
        owner = item.exchange.owner
        digest = self._clients.get(item.place)
        begins = (*item.apart.beginnings, *item.apart.links.names)
        if met := self._tombstones.bury(connection, owner, digest, begins):
            self._met.update(met)
            return None
        came = min(self._now, moment(item.exchange.ended_at))
        links = item.apart.links
        session = None
        if digest is not None:
            session = self._living(self._by_client.get(digest), digest, came)
        if session is None:
            found = self._conversations.find(links.continues, self._noted)
            session = self._living(found, None, came) or self._overtaken(item, came)
        if session is None:
            session = self._begin(item, digest)
            self._noted.update(dict.fromkeys(awaited(links.continues[:1]), session.id))
        if digest is not None and session.values["client_session"] == digest:
            self._by_client[digest] = session.id
        self._noted.update(dict.fromkeys(links.leaves, session.id))
        return session

    def _overtaken(self, item: BatchItem, at: datetime) -> Working | None:
        """The session that began with what goes on from this exchange, which was filed later."""
        awaiting = awaited(item.apart.links.leaves)
        session = self._living(self._conversations.find(awaiting, self._noted), None, at)
        ended = moment(item.exchange.ended_at)
        return session if session is not None and ended <= session.values["started"] else None

    def _living(self, session_id: str | None, client: bytes | None, at: datetime) -> Working | None:
        """The session that lived `at` a moment, by its id or its client's."""
        if session_id is not None:
            if session_id in self._sessions:
                return self._sessions[session_id]
            rows = [self._known.by_id[session_id]] if session_id in self._known.by_id else []
        else:
            rows = [] if client is None else self._known.by_client.get(client, [])
        for row in rows:
            if row.expires_at <= at:
                continue
            if row.id in self._sessions:
                return self._sessions[row.id]
            if self._goes_on(row):
                found = self._sessions[row.id] = Working(
                    dict(row._mapping), new=False, had=row.exchanges
                )
                return found
        return None

    def _goes_on(self, row: DbRow) -> bool:
        past = bool(row.expires_at <= self._now)
        if not past and not self._wary:
            return True
        try:
            self._keyring.get(subject_of(row.id))
        except IntegrityError as error:
            # One that is not past is about to go, and goes as ever.
            return error.code == "key_destroyed" and not past
        return True

    def _begin(self, item: BatchItem, digest: bytes | None) -> Working:
        exchange = item.exchange
        values: dict[str, Any] = {
            "id": self._free_id(item.apart.client_session),
            "owner": exchange.owner,
            "client_session": digest,
            "data_class": DATA_CLASS,
            "plan": exchange.plan,
            "channel": exchange.channel,
            "key_id": exchange.key_id,
            "started": moment(exchange.started_at),
            "last_activity": moment(exchange.ended_at),
            "last_request": moment(exchange.started_at),
            "last_consent": 0,
            "kept_until": None,
            "number": None,  # counted when its row is put
            "uses": "",
            "exchanges": 0,
            "bytes": 0,
            "expires_at": self._now,
            "period": exchange.terms.period,
            "clause": exchange.terms.clause,
            "document": exchange.terms.document,
            **dict.fromkeys(USAGE, 0),
        }
        session = self._sessions[values["id"]] = Working(values, new=True)
        return session

    def _withdraw(self, session: Working) -> None:
        del self._sessions[session.id]
        self._by_client = {
            digest: known for digest, known in self._by_client.items() if known != session.id
        }
        self._noted = {link: known for link, known in self._noted.items() if known != session.id}

    def _free_id(self, client: str | None) -> str:
        wanted = _uuid(client)
        if wanted is None or wanted in self._sessions or wanted in self._not_free:
            return str(UUID(bytes=os.urandom(16), version=4))
        return wanted

    # -- records ---------------------------------------------------------------------------------

    def _packed(self, connection: Connection, keys: dict[str, bytes]) -> list[Packed]:
        asks = [
            PackingOrder(item.place, session.id, number, digest_key(keys[session.id]), session.new)
            for item, session, number in self._placed
        ]
        packed = self._bench.pack(asks)
        if isinstance(packed, Missing):
            places: dict[str, dict[bytes, Place]] = {}
            for session_id in packed.sessions:
                if (session := self._sessions.get(session_id)) is not None and not session.new:
                    key = digest_key(keys[session_id])
                    number = session.values["number"]
                    places[session_id], self._wrong[session_id] = lookup.places(
                        connection, number, key
                    )
            packed = self._bench.pack(asks, places)
        assert not isinstance(packed, Missing)
        return packed


def _uuid(text: str | None) -> str | None:
    """`text` in the usual form of a UUID, or None if it is not in that form."""
    if text is None:
        return None
    try:
        usual = str(UUID(text))
    except ValueError:
        return None
    return usual if usual == text.lower() else None
