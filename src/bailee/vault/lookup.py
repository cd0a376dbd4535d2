"""What the index has of the sessions that a batch may go on with, asked for in sets.

Rules kept here:

* A statement is built once: to build one costs ten times what it takes to run it. And each is run
  once for a batch: to run one costs ten times what it takes to read a row more.
* Only sound rows are given. Of ids, that one is taken is said of every row.
* What is past its end is among the rows: who asks knows at which moment a session must have lived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import BindParameter, Connection, Executable, bindparam, func, select

from bailee.db.checks import sound
from bailee.db.engine import DbRow
from bailee.db.vault import (
    conversation_links,
    departed_sessions,
    exchanges,
    session_words,
    sessions,
)
from bailee.vault.known import Place
from bailee.vault.places import told

_AT_ONCE: Final = 500  # values in one query
_LATEST: Final = 4096  # exchanges of a session whose places are read
_LATEST_BYTES: Final = 256 << 10  # of their places, and one exchange's more
_MOST_NUMBER: Final = 1 << 62  # a number beyond is none that was given
_WHICH: Final[BindParameter[object]] = bindparam("which", expanding=True)
_BY_ID: Final = select(sessions).where(sessions.c.id.in_(_WHICH), sound(sessions))
_BY_CLIENT: Final = (
    select(sessions)
    .where(sessions.c.client_session.in_(_WHICH), sound(sessions))
    .order_by(sessions.c.started.desc())  # the latest, where the key of another is damaged
)
_TAKEN: Final = select(sessions.c.id).where(sessions.c.id.in_(_WHICH))
_DEPARTED: Final = select(departed_sessions.c.digest).where(departed_sessions.c.digest.in_(_WHICH))
_PLACES: Final = (
    select(exchanges.c.number, exchanges.c.places)
    .where(exchanges.c.session == bindparam("session"))
    .order_by(exchanges.c.number.desc())
    .limit(_LATEST)
)
_HIGHEST: Final = select(
    *[
        select(func.coalesce(func.max(column), 0)).where(column < _MOST_NUMBER).scalar_subquery()
        for column in (sessions.c.number, exchanges.c.session, session_words.c.session)
    ]
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


def next_number(connection: Connection) -> int:
    """A number that no session has, nor any row that is left of one; so are those after it. Of a
    transaction that writes.
    """
    return 1 + int(max(connection.execute(_HIGHEST).one()))


def places(
    connection: Connection, session: int, key: bytes
) -> tuple[dict[bytes, Place], dict[int, bytes]]:
    """What a session has had, and where, as far as its latest exchanges say; and of its exchanges
    of which a place is not what was written what is to stand there instead. What is not found is
    stored anew. `session`: its number; `key`: its own, for digests.
    """
    found: dict[bytes, Place] = {}
    wrong: dict[int, bytes] = {}
    size = 0
    with connection.execute(_PLACES, {"session": session}) as rows:
        for row in rows:
            one = told(key, row.number, row.places)
            for digest, place in one.places.items():
                found.setdefault(digest, place)
            if not one.whole:
                wrong[row.number] = one.right
            size += len(one.right)
            if size > _LATEST_BYTES:
                break
    return found, wrong


def _rows(connection: Connection, query: Executable, values: Collection[Value]) -> Iterator[DbRow]:
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield from connection.execute(query, {"which": every[start : start + _AT_ONCE]})
