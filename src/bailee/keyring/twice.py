"""What the keyring notes once for all its keys, in two rows that say the same.

When the root was rotated, and which root it is: each is one note, by which everything goes. So it
is there twice, and each row is checked (`db.checks`): the one that is what was written counts, and
the other is written anew from it (`mend`). Where neither is, a rotation is due at once, which
destroys nothing; and of the root the first row is taken: a root that is not the right one opens
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Connection, Table, delete, insert, inspect, select

from bailee.db.checks import MAC, sound
from bailee.db.engine import DbRow
from bailee.db.keys import root_place, rotation

EVER: Final = datetime.fromtimestamp(0, UTC)
"""Before everything that was ever noted."""
_IDS: Final = (1, 2)

Noted = Mapping[str, object]
"""A note: the columns of its table, but for `id` and `mac`."""

_UNKNOWN: Final[Noted] = {"rotated_at": EVER, "began_at": None, "destroyed_since": True}


@dataclass(frozen=True, slots=True)
class RotationNote:
    """When the root was last rotated, when that or an unfinished rotation began (None: never), and
    whether any key was destroyed since.
    """

    rotated_at: datetime
    began_at: datetime | None
    destroyed_since: bool

    @property
    def is_broken_off(self) -> bool:
        """Whether a rotation began and its end was not noted, however many generations are left."""
        return self.began_at not in (None, self.rotated_at)


def rotated(connection: Connection) -> RotationNote:
    """What is noted of rotations."""
    query = select(*(rotation.c[name] for name in RotationNote.__slots__))
    row = connection.execute(query.where(sound(rotation)).order_by(rotation.c.id)).first()
    return (
        RotationNote(EVER, None, destroyed_since=True)
        if row is None
        else RotationNote(**row._mapping)
    )


def note(connection: Connection, table: Table, values: Noted) -> None:
    """Make a note where there is none yet, in both rows."""
    if connection.execute(select(table.c.id).limit(1)).first() is None:
        connection.execute(insert(table), [{"id": row, **values} for row in _IDS])


def noted(connection: Connection, table: Table) -> Noted | None:
    """The note of a table, by the row that is what was written; None: neither is."""
    names = [column for column in table.c if column.name not in ("id", MAC)]
    row = connection.execute(select(*names).where(sound(table)).order_by(table.c.id)).first()
    return None if row is None else {**row._mapping}


def row(connection: Connection, table: Table, names: Sequence[Column[object]]) -> DbRow | None:
    """These columns of the row that is what was written, or of the first where neither is; None:
    there is none. The table need not be migrated yet.
    """
    found: DbRow | None = None
    query = select(*names).order_by(table.c.id)
    if MAC in {column["name"] for column in inspect(connection).get_columns(table.name)}:
        found = connection.execute(query.where(sound(table))).first()
    return found or connection.execute(query).first()


def mend(connection: Connection) -> list[str]:
    """Write anew the rows that are not what was written; the tables that had any."""
    mended: list[str] = []
    for table in (rotation, root_place):
        whole = connection.execute(select(table.c.id).where(sound(table))).scalars().all()
        if {*whole} == {*_IDS}:
            continue
        values = noted(connection, table) or (_UNKNOWN if table is rotation else None)
        if values is not None:
            connection.execute(delete(table))
            note(connection, table, values)
            mended.append(table.name)
    return mended
