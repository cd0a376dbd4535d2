"""Who is in which team of an organisation, as groups of a provider gave it (`group_grants`).

Rows: O1, O2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Engine, select

from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import group_grants

_WHAT: Final = "what groups give"


def teams_on(connection: Connection) -> dict[tuple[str, str], str]:
    """The team of everybody who has one, by organisation and person."""
    table = group_grants
    query = select(table.c.organisation_id, table.c.person_id, table.c.team)
    rows = connection.execute(query.where(table.c.team.is_not(None), sound(table)))
    return {(row.organisation_id, row.person_id): row.team for row in rows}


class TeamsBeside:
    """Teams of a home that another process has: read at each question, on any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.version = 0
        """Nothing is changed by this."""

    def teams(self) -> Mapping[tuple[str, str], str]:
        """See `teams_on`. Raises: StorageError."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return teams_on(connection)
