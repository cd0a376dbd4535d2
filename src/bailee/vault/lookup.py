"""What the index has of the sessions that a batch may go on with, asked for in sets.

Rules kept here:

* A statement is built once: to build one costs ten times what it takes to run it. And each is run
  once for a batch: to run one costs ten times what it takes to read a row more.
* Only sound rows are given. Of ids, that one is taken is said of every row.
* What is past its end is among the rows: who asks knows at which moment a session must have lived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import BindParameter, Connection, Executable, bindparam, select

from bailee.db.checks import sound
from bailee.db.engine import DbRow
from bailee.db.vault import conversation_links, departed_sessions, prefixes, sessions
from bailee.vault.known import Place
from bailee.vault.places import told

_AT_ONCE: Final = 500  # values in one query
_WHICH: Final[BindParameter[object]] = bindparam("which", expanding=True)
_BY_ID: Final = select(sessions).where(sessions.c.id.in_(_WHICH), sound(sessions))
_BY_CLIENT: Final = (
    select(sessions)
    .where(sessions.c.client_session.in_(_WHICH), sound(sessions))
    .order_by(sessions.c.started.desc())  # the latest, where the key of another is damaged
)
_TAKEN: Final = select(sessions.c.id).where(sessions.c.id.in_(_WHICH))
_DEPARTED: Final = select(departed_sessions.c.digest).where(departed_sessions.c.digest.in_(_WHICH))
_PLACES: Final = select(prefixes.c.digest, prefixes.c.exchange, prefixes.c.position).where(
    prefixes.c.session_id == bindparam("session"), prefixes.c.digest.in_(_WHICH)
)

_LINKED: Final = select(conversation_links.c.digest, conversation_links.c.session_id).where(
    conversation_links.c.digest.in_(_WHICH)
)

Value = TypeVar("Value", str, bytes)


@dataclass(slots=True)
class KnownRows:
    """Rows of `sessions`, by id and by their client's digest, the latest first."""

    by_id: dict[str, DbRow] = field(default_factory=dict)
    by_client: dict[bytes, list[DbRow]] = field(default_factory=dict)


def known(connection: Connection, ids: Collection[str], clients: Collection[bytes]) -> KnownRows:
    """The sessions with these ids, and those with these digests of the ids that clients gave."""
    found = KnownRows({row.id: row for row in _rows(connection, _BY_ID, ids)})
    for row in _rows(connection, _BY_CLIENT, clients):
        found.by_client.setdefault(row.client_session, []).append(row)
    return found


def not_free(connection: Connection, ids: Collection[str]) -> set[str]:
    """Of these ids those that a session has."""
    return {row.id for row in _rows(connection, _TAKEN, ids)}


def departed(connection: Connection, digests: Collection[bytes]) -> set[bytes]:
    """Of these digests of ids those of sessions that are gone."""
    return {row.digest for row in _rows(connection, _DEPARTED, digests)}


def linked(connection: Connection, digests: Collection[bytes]) -> dict[bytes, str]:
    """Of these links (`conversations`) those that are known, and the session that each leads to."""
    return {row.digest: row.session_id for row in _rows(connection, _LINKED, digests)}


def places(
    connection: Connection, session: str, digests: Sequence[bytes], key: bytes
) -> tuple[dict[bytes, Place], set[bytes]]:
    """Of what a session is asked for, what it has had, and where; and of what the place is not what
    was written: it has to be stored anew. `key`: its own, for digests.
    """
    found: dict[bytes, Place] = {}
    wrong: set[bytes] = set()
    for row in _rows(connection, _PLACES, digests, session=session):
        place = told(key, row.digest, row.exchange, row.position)
        if place is None:
            wrong.add(row.digest)
        else:
            found[row.digest] = place
    return found, wrong


def _rows(
    connection: Connection, query: Executable, values: Collection[Value], **more: str
) -> Iterator[DbRow]:
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield from connection.execute(query, {"which": every[start : start + _AT_ONCE], **more})
