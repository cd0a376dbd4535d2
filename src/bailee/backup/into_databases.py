"""Restoring into two databases on PostgreSQL, which a backup and a snapshot of keys come to as
files of SQLite's (`db.carrying`).

Rules kept here:

* Where a restored home's databases are says the environment of the restore. What a backup's
  settings file says of it is of the old home, and is left out of the new one's.
* They are empty, or this restore has begun to fill them: each has all of it or nothing, and by
  which restore is written in the same transaction as the rows. So it is done once, by whichever of
  several commands, and the databases of another home are never written to.
* What is carried lies in a file in the home's own folder for so long. The keys in it are under the
  new root already, whose first generation ends with the restore.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from bailee import config
from bailee.backup import folder as files
from bailee.db.carrying import Line, carried, carry, is_empty
from bailee.db.checks import use_key
from bailee.db.engine import open_sqlite, remove_file
from bailee.db.migrate import upgrade
from bailee.errors import InputError
from bailee.home import Home
from bailee.node import databases, objects, spooling

_ADDRESSES: Final = (*databases.SETTINGS, objects.SETTING, spooling.SETTING)
_TABLE: Final = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY: Final = re.compile(r"\s*([A-Za-z_.\s]+?)\s*=")


@dataclass(frozen=True, slots=True)
class RestoredDatabases:
    """The two databases into which a home is restored. A restore has them until it opens the home;
    `mark`: by what it is known that it filled one.
    """

    data: Engine
    keys: Engine
    mark: str

    @property
    def has_keys(self) -> bool:
        """Whether all keys are there."""
        return carried(self.keys) == self.mark

    @property
    def has_data(self) -> bool:
        """Whether all else is there."""
        return carried(self.data) == self.mark

    def take_keys(self, file: Path) -> None:
        """Carry the keys of a file over, and remove it.

        Raises:
            IntegrityError, StorageError: as `db.carrying.carry` does.
        """
        self._take(file, self.keys, "keys", None)

    def take_data(self, file: Path, row_key: bytes) -> None:
        """The same with all else. `row_key`: of the checks of its rows."""
        self._take(file, self.data, "data", row_key)

    def _take(self, file: Path, target: Engine, line: Line, key: bytes | None) -> None:
        source = open_sqlite(file)
        try:
            for engine in (source, target):
                if key is not None:
                    use_key(engine, key)
                upgrade(engine, line)
            carry(source, target, line, self.mark)
        finally:
            source.dispose()
        remove_file(file)


def opened(
    home: Home, environment: Mapping[str, str], closing: ExitStack
) -> RestoredDatabases | None:
    """The databases into which a home is restored; None: it goes into files. Whoever closes
    `closing` lets go of them.

    Raises:
        InputError: code `configuration`: they are another home's, or what is set does not fit.
        StorageError: one can't be reached, or will not do.
    """
    found = databases.connect(home, config.load(home.settings_file, environment, {}), closing)
    if found is None:
        return None
    try:
        for path in (beside(home.data_database), beside(home.keyring_database)):
            remove_file(path)
    except OSError as error:
        raise files.failed(home.path, error) from error
    made = RestoredDatabases(*found, begun_by(home))
    lines: tuple[Line, ...] = ("data", "keys")
    for name, line, engine in zip(databases.SETTINGS, lines, found, strict=True):
        if carried(engine) != made.mark and not is_empty(engine, line):
            raise InputError(
                f"the database that {name} names is not empty.",
                code="configuration",
                hint="a home is restored into databases of its own: make new ones",
            )
    return made


def beside(database: Path) -> Path:
    """Where a file lies that is carried over, beside the one that a home with files has."""
    return database.with_name("restored.db")


def begun_file(home: Home) -> Path:
    """The file by whose content a restore that was broken off knows what it has filled."""
    return home.data_database.with_name("restoring")


def begun_by(home: Home) -> str:
    """Its content; made if there is none.

    Raises:
        StorageError: it can't be written.
    """
    begun = begun_file(home)
    if not begun.exists():
        files.written(begun, os.urandom(16).hex().encode())
    return begun.read_text("ascii")


def without_addresses(settings: str) -> str:
    """A settings file as it was, but for where databases and objects are, and what rests on that.

    Raises:
        InputError: code `configuration`: these can't be told from the rest.
    """
    left, table = [], ""
    for line in settings.splitlines(keepends=True):
        if (header := _TABLE.match(line)) is not None:
            table = f"{header[1].strip()}."
        key = _KEY.match(line)
        if key is None or table + re.sub(r"\s", "", key[1]) not in _ADDRESSES:
            left.append(line)
    made = "".join(left)
    try:
        said, kept = _said(settings), _said(made)
    except tomllib.TOMLDecodeError:
        said, kept = {}, {"": None}
    if kept != {name: value for name, value in said.items() if name not in _ADDRESSES}:
        raise InputError(
            "the backup's bailee.toml names databases in a way that can't be taken out of it.",
            code="configuration",
            hint="have each of the two settings in a line of its own, and take another backup",
        )
    return made


def _said(settings: str) -> dict[str, object]:
    """What a settings file says, by names as `database.url`."""
    found: dict[str, object] = {}
    for table, content in tomllib.loads(settings).items():
        given = content if isinstance(content, dict) else {"": content}
        found |= {f"{table}.{key}".strip("."): value for key, value in given.items()}
    return found
