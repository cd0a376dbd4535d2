"""One batch of captured exchanges on its way into the index: sessions found, records made.

Rules kept here:

* Nothing is committed here. A batch that fails leaves the caches to be dropped and bytes that
  nothing refers to.
* An exchange that can't be taken apart, for whatever reason, is kept as its raw bytes.
* What it costs is linear in what came: of a session's places only those are looked up that an
  exchange of the batch asks for.
* What came before a session's erasure was asked for, and is sealed after, is dropped.
* The client's session id becomes the session's id only when it is a UUID that no other session has
  or had; a session that has expired is not continued.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from bailee.db.checks import sound
from bailee.db.vault import departed_sessions, exchanges, prefixes, receipts, sessions
from bailee.keyring import Keyring, Want
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.policy.period import expires_at
from bailee.vault.bounds import Beyond
from bailee.vault.conversations import Conversations
from bailee.vault.delta import Draft, Known, digest_key
from bailee.vault.exchange import CapturedExchange, Terms
from bailee.vault.interpreted import Interpreted
from bailee.vault.packing import JSON, Unpackable
from bailee.vault.receipts import ERASURE, INACCESSIBLE, REQUESTED
from bailee.vault.record import compress, seal_record, subject_of
from bailee.vault.segments import Segments
from bailee.vault.terms import PresentTerms, governing, shorter

DATA_CLASS = "transcript"
USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)

Interpret = Callable[[CapturedExchange], Interpreted]
_BIGGEST = (1 << 63) - 1
_AT_ONCE = 500  # digests in one query


@dataclass(slots=True)
class Item:
    """An exchange in a batch."""

    exchange: CapturedExchange
    interpreted: Interpreted


@dataclass(slots=True)
class Working:
    """A session that a batch changes: its row's values, and whether it is new."""

    values: dict[str, Any]
    new: bool
    learned: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The session's id."""
        found: str = self.values["id"]
        return found


def digest_of(key: bytes, *parts: str) -> bytes:
    """A keyed digest of identifiers, for the index."""
    state = hashlib.blake2b(digest_size=16, key=key)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return state.digest()


def moment(seconds: float) -> datetime:
    """Unix seconds as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def interpreted(interpret: Interpret, exchange: CapturedExchange) -> Interpreted:
    """What the exchange means; its raw bytes when `interpret` fails."""
    try:
        return interpret(exchange)
    except Exception:  # whatever a client or upstream sent must not be lost
        return Interpreted(raw_request=exchange.request, raw_answer=exchange.answer)


class Batch:
    """Exchanges that are committed together."""

    def __init__(
        self,
        keyring: Keyring,
        segments: Segments,
        conversations: Conversations,
        known: dict[str, Known],
        *,
        now: datetime,
        present: PresentTerms,
    ) -> None:
        self._present = present
        self._keyring = keyring
        self._segments = segments
        self._conversations = conversations
        self._known = known
        self._now = now
        self._key = keyring.secret("vault/identifiers")
        self._sessions: dict[str, Working] = {}
        self._by_client: dict[bytes, str] = {}
        self._placed: list[tuple[Item, Working, int]] = []
        self._rows: list[dict[str, Any]] = []
        self._noted: dict[bytes, str] = {}
        self._erasing: dict[str, datetime] = {}
        self.expired = 0
        self.erased = 0

    @property
    def session_ids(self) -> Iterable[str]:
        """The sessions that this batch changes."""
        return self._sessions.keys()

    def place(self, connection: Connection, items: Iterable[Item]) -> None:
        """Find each exchange's session, in order, and move its expiry."""
        asked = select(receipts.c.subject, receipts.c.requested_at).where(
            receipts.c.state.in_((REQUESTED, INACCESSIBLE)),
            receipts.c.kind == ERASURE,
            sound(receipts),
        )
        self._erasing = {row.subject: row.requested_at for row in connection.execute(asked)}
        for item in items:
            exchange = item.exchange
            ended = moment(exchange.ended_at)
            session = self._session(connection, item)
            if session is None:
                self.erased += 1
                continue
            values = session.values
            began = max(values["last_request"], moment(exchange.started_at))
            latest = max(values["last_activity"], ended)
            terms = self._terms(session, exchange, began, latest)
            until = expires_at(latest, terms.period)
            if until <= self._now:
                self.expired += 1
                if session.new and not values["exchanges"]:
                    self._withdraw(session)
                continue
            values["last_activity"] = latest
            values["last_request"] = began
            use = f"{exchange.plan}/{exchange.channel}"
            values["uses"] = " ".join(sorted({*values["uses"].split(), use}))
            values["started"] = min(values["started"], moment(exchange.started_at))
            values["expires_at"] = until
            values["period"] = terms.period
            values["clause"] = terms.clause
            values["document"] = terms.document
            values["plan"] = exchange.plan
            values["channel"] = exchange.channel
            values["key_id"] = exchange.key_id
            number = values["exchanges"]
            values["exchanges"] += 1
            for name in USAGE:
                count = item.interpreted.usage.get(name, 0)
                if isinstance(count, int) and 0 <= count <= _BIGGEST - values[name]:
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
        for item, session, number in self._placed:
            key = deks[subject_of(session.id)].key
            known = self._known_of(session, key)
            compressed = self._compress(connection, item, session, number, known)
            record_id = os.urandom(16).hex()
            sealed = seal_record(
                compressed,
                key,
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
                    "session_id": session.id,
                    "number": number,
                    "segment_id": segment.id,
                    "offset": segment.append(sealed),
                    "length": len(sealed),
                    "exchange_id": item.exchange.exchange_id,
                    "started": item.exchange.started_at,
                    "ended": item.exchange.ended_at,
                    "outcome": str(item.exchange.outcome),
                    "status": item.exchange.status,
                }
            )
            session.values["bytes"] += len(sealed)

    def put_rows(self, connection: Connection) -> None:
        """Put everything into the caller's transaction."""
        for session in self._sessions.values():
            if session.new:
                connection.execute(insert(sessions).values(**session.values))
            else:
                connection.execute(
                    update(sessions).where(sessions.c.id == session.id).values(**session.values)
                )
        self._segments.put_rows(connection)
        if self._rows:
            connection.execute(insert(exchanges), self._rows)
        learned = [row for session in self._sessions.values() for row in session.learned]
        if learned:
            connection.execute(insert(prefixes), learned)

    def committed(self) -> None:
        """The transaction has been committed."""
        self._segments.committed()
        for link, session_id in self._noted.items():
            self._conversations.note(link, session_id)

    # -- sessions --------------------------------------------------------------------------------

    def _terms(
        self, session: Working, exchange: CapturedExchange, began: datetime, latest: datetime
    ) -> Terms:
        """The terms of the session with this exchange: those captured with it, unless its owner has
        chosen otherwise while it was under way.
        """
        present = self._present(exchange.owner, exchange.plan, exchange.channel)
        held = exchange.terms
        if present is not None and not session.new:
            values = session.values
            before = Terms(values["period"], values["clause"], values["document"])
            held = shorter(held, before, latest)
        return governing(held, present, last_request=began, last_activity=latest)

    def _session(self, connection: Connection, item: Item) -> Working | None:
        """The session that an exchange belongs to; None if its erasure was asked for since."""
        owner = item.exchange.owner
        client = item.interpreted.client_session
        if client is not None:
            digest = digest_of(self._key, "client", owner, client)
            if self._erasing and self._is_erased(connection, item, digest):
                return None
            session = self._living(connection, self._by_client.get(digest), digest)
            if session is None:
                session = self._begin(connection, item, client, digest)
            self._by_client[digest] = session.id
            return session
        chain = self._conversations.chain(owner, item.interpreted.messages)
        found = self._conversations.find(chain, self._noted)
        if found is not None and self._came_before(item, found):
            return None
        session = self._living(connection, found, None) if found is not None else None
        if session is None:
            session = self._begin(connection, item, None, None)
        if chain:
            self._noted[chain[-1]] = session.id
        return session

    def _is_erased(self, connection: Connection, item: Item, client: bytes) -> bool:
        query = select(sessions.c.id).where(
            sessions.c.client_session == client, sessions.c.id.in_(self._erasing)
        )
        return any(
            self._came_before(item, session_id)
            for session_id in connection.execute(query).scalars()
        )

    def _came_before(self, item: Item, session_id: str) -> bool:
        """Whether an exchange had ended when its session's erasure was asked for."""
        asked = self._erasing.get(session_id)
        return asked is not None and moment(item.exchange.ended_at) <= asked

    def _living(
        self, connection: Connection, session_id: str | None, client: bytes | None
    ) -> Working | None:
        if session_id is not None and session_id in self._sessions:
            return self._sessions[session_id]
        if session_id is None and client is None:
            return None
        which = sessions.c.id == session_id if session_id else sessions.c.client_session == client
        row = connection.execute(
            select(sessions).where(which, sessions.c.expires_at > self._now, sound(sessions))
        ).first()
        if row is None:
            return None
        if row.id not in self._sessions:
            self._sessions[row.id] = Working(dict(row._mapping), new=False)
        return self._sessions[row.id]

    def _begin(
        self, connection: Connection, item: Item, client: str | None, digest: bytes | None
    ) -> Working:
        exchange = item.exchange
        values: dict[str, Any] = {
            "id": self._free_id(connection, client),
            "owner": exchange.owner,
            "client_session": digest,
            "data_class": DATA_CLASS,
            "plan": exchange.plan,
            "channel": exchange.channel,
            "key_id": exchange.key_id,
            "started": moment(exchange.started_at),
            "last_activity": moment(exchange.ended_at),
            "last_request": moment(exchange.started_at),
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

    def _free_id(self, connection: Connection, client: str | None) -> str:
        wanted = _uuid(client)
        if wanted is not None and wanted not in self._sessions:
            gone = digest_of(self._key, "departed", wanted)
            taken = (
                connection.execute(select(sessions.c.id).where(sessions.c.id == wanted)).first()
                or connection.execute(
                    select(departed_sessions.c.digest).where(departed_sessions.c.digest == gone)
                ).first()
            )
            if taken is None:
                return wanted
        return str(UUID(bytes=os.urandom(16), version=4))

    # -- records ---------------------------------------------------------------------------------

    def _known_of(self, session: Working, key: bytes) -> Known:
        known = self._known.get(session.id)
        if known is None:
            known = Known(digest_key(key), complete=session.new)
            self._known[session.id] = known
        return known

    def _look_up(
        self, connection: Connection, session: Working, known: Known, draft: Draft
    ) -> None:
        """Have `known` hold what the session has had of what `draft` wants."""
        if known.complete:
            return
        missing = list({digest for digest in draft.wanted() if digest not in known.places})
        for start in range(0, len(missing), _AT_ONCE):
            query = select(prefixes).where(
                prefixes.c.session_id == session.id,
                prefixes.c.digest.in_(missing[start : start + _AT_ONCE]),
            )
            for row in connection.execute(query):
                known.places[row.digest] = (row.exchange, row.position)

    def _compress(
        self, connection: Connection, item: Item, session: Working, number: int, known: Known
    ) -> bytes:
        exchange, meaning = item.exchange, item.interpreted
        head: dict[str, JSON] = {
            "number": number,
            "exchange_id": exchange.exchange_id,
            "agent": meaning.agent,
            "method": exchange.method,
            "target": exchange.target,
            "request_headers": [list(pair) for pair in exchange.request_headers],
            "answer_headers": [list(pair) for pair in exchange.answer_headers],
            "error": meaning.error,
            "usage": dict(meaning.usage),
        }
        if meaning.beyond is not None:
            head["beyond"] = str(meaning.beyond)
        try:
            draft = Draft(meaning.fields, meaning.messages, meaning.answer, known)
            self._look_up(connection, session, known, draft)
            delta = draft.delta(number, known)
            compressed = compress({**head, **delta.body}, meaning.raw_request, meaning.raw_answer)
        except Unpackable:
            plain: dict[str, JSON] = {"answer": None, "fields": [], "marks": []}
            head |= {"error": None, "usage": {}, "beyond": str(Beyond.DEPTH)}
            return compress({**head, **plain}, exchange.request, exchange.answer)
        known.places |= delta.learned
        session.learned += [
            {"session_id": session.id, "digest": digest, "exchange": place[0], "position": place[1]}
            for digest, place in delta.learned.items()
        ]
        return compressed


def _uuid(text: str | None) -> str | None:
    """`text` in the usual form of a UUID, or None if it is not in that form."""
    if text is None:
        return None
    try:
        usual = str(UUID(text))
    except ValueError:
        return None
    return usual if usual == text.lower() else None
