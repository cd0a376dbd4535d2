"""How far each spool file is sealed, as the index has it: rows that are checked (`db.checks`).

Rules kept here:

* A row that is not what was written says nothing: by one flipped bit of it exchanges would count as
  filed that are not, and would go with the file.
* What such a row said is found in the index (`found`): an exchange that is filed stands there under
  the id that the gateway gave it. So nothing is lost, and nothing is filed twice.

Rows: R5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, not_, select

from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.portable import insert as upsert
from bailee.db.vault import exchanges, sessions, spool_positions
from bailee.vault.progress import Progress

_AT_ONCE: Final = 1000
_MOVE_ON: Final = (
    upsert(spool_positions)
    .values(file=bindparam("file"), next=bindparam("next"), ahead=bindparam("ahead"))
    .on_conflict_do_update(
        index_elements=["file"], set_={"next": bindparam("next"), "ahead": bindparam("ahead")}
    )
)
_POSITION: Final = select(spool_positions.c.next, spool_positions.c.ahead).where(
    spool_positions.c.file == bindparam("which"), sound(spool_positions)
)
_UNSOUND: Final = not_(sound(spool_positions))


def position(connection: Connection, file: str) -> Progress:
    """Which of a file's frames are in the index, as far as its row says."""
    row = connection.execute(_POSITION, {"which": file}).first()
    return Progress() if row is None else Progress.stored(row.next, row.ahead)


def damaged(connection: Connection) -> list[str]:
    """The rows that are not what was written, by the file's name that stands in them. It may be
    that which was changed: then another file's row is missing.
    """
    return list(connection.execute(select(spool_positions.c.file).where(_UNSOUND)).scalars())


def move_on(connection: Connection, sealed: Mapping[str, Progress]) -> None:
    """Note of files how far they are sealed."""
    connection.execute(
        _MOVE_ON,
        [
            {"file": file, "next": progress.next, "ahead": progress.ahead_bytes}
            for file, progress in sealed.items()
        ],
    )


def replace(connection: Connection, sealed: Mapping[str, Progress]) -> None:
    """Put these rows in the place of those that are damaged."""
    connection.execute(delete(spool_positions).where(_UNSOUND))
    move_on(connection, sealed)


def forget(connection: Connection, file: str) -> None:
    """A file is gone."""
    connection.execute(delete(spool_positions).where(spool_positions.c.file == file))


def found(connection: Connection, frames: Sequence[tuple[int, str, str]]) -> Progress:
    """Which of a file's frames are in the index, by the exchanges themselves: each a number, the
    exchange's id and its owner.
    """
    there: set[tuple[str, str]] = set()
    for start in range(0, len(frames), _AT_ONCE):
        ids = [exchange for _, exchange, _ in frames[start : start + _AT_ONCE]]
        query = (
            select(exchanges.c.exchange_id, sessions.c.owner)
            .join(sessions, sessions.c.number == exchanges.c.session)
            .where(among(exchanges.c.exchange_id, ids))
        )
        there.update((row.exchange_id, row.owner) for row in connection.execute(query))
    return Progress().plus(n for n, exchange, owner in frames if (exchange, owner) in there)
