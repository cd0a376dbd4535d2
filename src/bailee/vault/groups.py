"""Sessions counted by what a policy decides about them by, without looking at each of them.

One index has all of the columns, so a million sessions are counted in about half a second; on
PostgreSQL in one or two where the table was vacuumed since, and in several where it was not.

Rows: P5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, select

from bailee.db.engine import reading, storage_errors
from bailee.db.vault import sessions

_FACTS: Final = (
    *(sessions.c.owner, sessions.c.plan, sessions.c.channel),
    *(sessions.c.uses, sessions.c.data_class, sessions.c.last_consent),
)


class SessionGroup(NamedTuple):
    """How many sessions of an owner's have the same facts. What the columns are: `db.vault`."""

    owner: str
    plan: str
    channel: str
    uses: str
    data_class: str
    last_consent: int
    sessions: int


def groups(engine: Engine, of: str | None = None) -> Iterator[SessionGroup]:
    """All sessions that are in the index, or those of one owner, in groups, by owner. The reader
    holds one view of them until the last.

    Raises:
        StorageError: the index can't be read.
    """
    query = select(*_FACTS, func.count()).group_by(*_FACTS)
    if of is not None:
        query = query.where(sessions.c.owner == of)
    with storage_errors("the vault's index"), reading(engine) as connection:
        for row in connection.execute(query):
            yield SessionGroup._make(row)
