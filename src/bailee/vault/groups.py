"""Sessions counted by what a policy decides about them by, without looking at any of them: from the
sums that the database keeps (`db.counting`).

Rows: P5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Engine, select

from bailee.db.engine import reading, storage_errors
from bailee.db.vault import session_facts


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
    """All sessions that are in the index, or those of one owner, in groups. The reader holds one
    view of them until the last.

    Raises:
        StorageError: the index can't be read.
    """
    query = select(session_facts).where(session_facts.c.sessions > 0)
    if of is not None:
        query = query.where(session_facts.c.owner == of)
    with storage_errors("the vault's index"), reading(engine) as connection:
        for row in connection.execute(query):
            yield SessionGroup._make(row)
