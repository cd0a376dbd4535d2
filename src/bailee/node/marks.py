"""The mark that a home's parts carry: written to each of them, in an order. See `home.belonging`.

Whatever the audit record has is followed by a new mark: with the end of the operation or the sweep
that it came from. So who puts an older part back is told at the next start.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final
from uuid import uuid4

from sqlalchemy import Engine, Table

from bailee.db.engine import storage_errors
from bailee.db.identity import data_identity, keys_identity
from bailee.db.portable import Insert, insert
from bailee.errors import StorageError
from bailee.home import Home, parts
from bailee.home.belonging import RESTORED, HomeStanding, Mark, Stage


def _putting(table: Table, *names: str) -> Insert:
    """A statement that writes the only row of a table, those columns of it."""
    statement = insert(table)
    values = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=["id"], set_=values)


# Built once: to build a statement costs several times what it takes to run it.
_DATA: Final = _putting(data_identity, "home", "mark", "sure")
_KEYS: Final = _putting(keys_identity, "home", "mark")


class Marks:
    """Writes an open home's marks. The ground of an open home owns it; the ledger tells it of
    entries, the end of an operation or a sweep has it write. Its methods may be called from any
    thread. It judges no part: that was done before it was made (`home.belonging`).
    """

    def __init__(self, home: Home, standing: HomeStanding) -> None:
        """A home that stands so (`parts.examine`). One that is new, or from before there were ids,
        gets its id.

        Raises:
            StorageError: the home can't be written.
        """
        self._home = home
        self._whole = standing.stage is Stage.WHOLE and home.identity_file.exists()
        self._number, self._sure = standing.newest, standing.sure
        self._restoring = standing.stage is Stage.RESTORING
        if self._restoring:
            self._number = (standing.newest // RESTORED + 1) * RESTORED
        self._lock = threading.Lock()  # while a mark is written; who is noted sets `_due` without
        self._due = False
        self.home_id = standing.home or uuid4().hex
        if standing.home is None:
            parts.write_own(home, self.home_id, standing.stage)

    def begin(self, data: Engine, keys: Engine) -> None:
        """The databases are open and migrated: a start. Where there is no room for a mark, there
        is none: what makes room must be able to start.

        Raises:
            StorageError: parts are to get their ids, and one can't be written.
        """
        self._data, self._keys = data, keys
        if self._whole:
            with suppress(StorageError):
                self.advance()
            return
        self.advance()
        if not self._restoring:  # else the restore does, at its end
            parts.write_own(self._home, self.home_id, Stage.WHOLE)
            self._whole = True

    def noted(self) -> None:
        """The audit record has a new entry."""
        self._due = True

    def catch_up(self) -> None:
        """Write a new mark if there is a new entry. What fails is done by the next call."""
        if self._due:
            with suppress(StorageError):
                self.advance()

    def advance(self) -> None:
        """Write a new mark to every part.

        Raises:
            StorageError: a part can't be written; the next call goes on.
        """
        with self._lock:
            self._due = False
            number = self._number + 1
            try:
                self._put(self._data, _DATA, mark=number, sure=self._sure)
                self._number = number
                self._put(self._keys, _KEYS, mark=number)
                parts.write_vault_mark(self._home, Mark(self.home_id, number))
            except StorageError:
                self._due = True
                raise
            self._sure = number

    def _put(self, engine: Engine, statement: Insert, **numbers: int) -> None:
        with storage_errors("the home's mark"), engine.begin() as connection:
            connection.execute(statement, {"id": 1, "home": self.home_id, **numbers})
