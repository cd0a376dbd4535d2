"""What a worker and the home's leases say to each other, over a stream. Pure but for the socket.

A message is a JSON object and some bytes, each behind its length. The bytes are a key, or a record
as ciphertext: they are in no object that is shown or logged.

    worker → {"token": …}                      home → {"shard": n}       or {"refused": why}
    worker → {}                                home → {"session": …}     its bytes: the key
                                               home → {}                 its bytes: a record, each
    worker → {}  and so on                     home → {"end": true}
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import orjson

from bailee.json_values import JsonObject, elements, members, text
from bailee.receiving import exactly
from bailee.training.dataset import ExportedSession
from bailee.vault.kept import IndexedExchange, SessionRow
from bailee.vault.sealed import SealedSession

_LENGTHS: Final = struct.Struct(">II")
_MOST: Final = (64 << 20, 1 << 30)
FROM_WORKERS: Final = (64 << 10, 1 << 20)
"""What a worker may say at once: so much is in the home's memory before anything is known of it."""
_MOMENTS: Final = ("started", "last_activity", "expires_at")


@dataclass(frozen=True, slots=True)
class Leased:
    """A session that may be written now, as it lies, and what allowed it. `names`: what names its
    owner, to be masked.
    """

    sealed: SealedSession
    commitment: str
    clause: str
    document: str
    consent: str
    names: tuple[str, ...] = ()

    def exported(self) -> ExportedSession:
        """The session, opened. Errors as in `SealedSession.opened`."""
        row = self.sealed.session
        return ExportedSession(
            self.commitment,
            self.sealed.opened(),
            self.clause,
            self.document,
            self.consent,
            row.plan,
            row.channel,
        )


def send(connection: socket.socket, said: JsonObject, content: bytes = b"") -> None:
    """Send a message. Raises: OSError."""
    packed = orjson.dumps(said)
    connection.sendall(_LENGTHS.pack(len(packed), len(content)) + packed)
    if content:
        connection.sendall(content)


def receive(connection: socket.socket, most: tuple[int, int] = _MOST) -> tuple[JsonObject, bytes]:
    """The next message. `most`: bytes that may be said, and of content.

    Raises:
        OSError, EOFError: there is none.
        ValueError: it is none of ours.
    """
    lengths = _LENGTHS.unpack(exactly(connection, _LENGTHS.size))
    if any(length > most for length, most in zip(lengths, most, strict=True)):
        raise ValueError("a message is too large")
    said = orjson.loads(exactly(connection, lengths[0]))
    return members(said), exactly(connection, lengths[1])


def as_said(leased: Leased) -> JsonObject:
    """A session without its key and records."""
    row: JsonObject = {}
    for one in fields(SessionRow):
        value = getattr(leased.sealed.session, one.name)
        row[one.name] = value.isoformat() if isinstance(value, datetime) else value
    exchanges: list[JsonObject] = [
        {one.name: getattr(exchange, one.name) for one in fields(IndexedExchange)}
        for exchange in leased.sealed.exchanges
    ]
    return {
        "session": row,
        "exchanges": [*exchanges],
        "commitment": leased.commitment,
        "clause": leased.clause,
        "document": leased.document,
        "consent": leased.consent,
        "names": [*leased.names],
    }


def as_leased(said: JsonObject, key: bytes, records: Iterable[bytes]) -> Leased:
    """The session that was said, with its key and records.

    Raises:
        ValueError: it is none of ours.
    """
    row = members(said.get("session"))
    try:
        moments = {name: datetime.fromisoformat(text(row[name])) for name in _MOMENTS}
        if (kept := row.get("kept_until")) is not None:
            moments["kept_until"] = datetime.fromisoformat(text(kept))
        session = SessionRow(**(row | moments))  # type: ignore[arg-type]
        exchanges = tuple(
            IndexedExchange(**members(one))  # type: ignore[arg-type]
            for one in elements(said.get("exchanges"))
        )
    except (KeyError, TypeError) as error:
        raise ValueError("a session is not as it must be") from error
    return Leased(
        SealedSession(session, exchanges, records, key),
        text(said.get("commitment")),
        text(said.get("clause")),
        text(said.get("document")),
        text(said.get("consent")),
        tuple(text(one) for one in elements(said.get("names"))),
    )
