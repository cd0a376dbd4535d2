"""A copy of the keyring under another root, so that neither opens anything without its own.

A keyring snapshot lies under a root of its own: rotating the home's root does not touch it, and
destroying its root ends it, however often its files were copied without that. A restored keyring
goes under a new root of its home the same way.

Rules kept here:

* Under the other root go the KEKs and the named secrets. DEKs lie under their KEKs, as they did.
* A key that does not open is left out: it opens nothing there either.
* What was wrapped under a generation that has been destroyed meanwhile is no damage: a rotation
  went on while the copy was made, and it is made anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, delete, select, update

from bailee.db.carrying import into_file
from bailee.db.engine import DbRow, as_one_file, open_sqlite, reading, remove_file, storage_errors
from bailee.db.keys import keks, root_place, secrets
from bailee.db.portable import is_sqlite
from bailee.errors import IntegrityError, StorageError
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.roots.root import Root
from bailee.keyring.wrapping import ZEROS, kek_data, secret_data

_TIMES: Final = 5
_WHAT: Final = "the keyring's copy"


def copy(engine: Engine, old: Root, new: Root, path: Path) -> int:
    """Copy the store in `engine`, which is under `old`, to a new file at `path`, under the newest
    generation of `new`; how many keys did not open and were left out. A file that is there is
    replaced. It is one file, durable when this returns.

    Raises:
        StorageError: a file can't be read or written.
    """
    for _ in range(_TIMES):
        _copy_as_it_is(engine, path)
        made = open_sqlite(path)
        try:
            left_out = _rewrap(made, old, new)
        finally:
            made.dispose()
        if left_out is not None:
            as_one_file(path)
            return left_out
    raise StorageError("the keyring is being rotated all the while.", hint="try again in a minute")


def secret_of(engine: Engine, root: Root, name: str) -> bytes:
    """A named secret of a store that is not opened as a keyring, but read.

    Raises:
        IntegrityError: there is none, or it does not open.
        StorageError: the store can't be read.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        row = connection.execute(select(secrets).where(secrets.c.name == name)).first()
    if row is None:
        raise IntegrityError(
            f"the keys have no secret {name}.", hint="take another snapshot of keys"
        )
    return root.unwrap(row.generation, row.wrapped, _secret_bound(row, row.generation))


def _copy_as_it_is(engine: Engine, path: Path) -> None:
    try:
        if not is_sqlite(engine):
            into_file(engine, path, "keys")
            return
        remove_file(path)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(path),))
        finally:
            connection.close()
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"{path} can't be written ({type(error).__name__}).",
            hint="check the folder's permissions and free space",
        ) from error


def _opened(
    root: Root, rows: Sequence[DbRow], bound: Callable[[DbRow, int], bytes]
) -> list[bytes | None] | None:
    """The keys of rows, in their order; of one that does not open, None. None instead of all: a
    generation is gone.
    """
    found: dict[int, bytes | None] = {}
    by_generation: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        by_generation.setdefault(row.generation, []).append(place)
    for generation, places in by_generation.items():
        some = [(rows[place].wrapped, bound(rows[place], generation)) for place in places]
        for place, key in zip(places, root.unwrap_all(generation, some), strict=True):
            if isinstance(key, IntegrityError) and key.code == "key_destroyed":
                return None
            found[place] = None if isinstance(key, IntegrityError) else key
    return [found[place] for place in range(len(rows))]


def _rewrap(engine: Engine, old: Root, new: Root) -> int | None:
    """Put the copy under the new root; how many keys were left out. None: a generation is gone."""
    generation = new.generations()[-1]
    left_out = 0
    with storage_errors(_WHAT), engine.begin() as connection:
        connection.execute(delete(keks).where(keks.c.wrapped == ZEROS))
        connection.execute(delete(root_place))  # whoever opens the copy notes its own
        for name, bound in ((keks.c.id, _kek_bound), (secrets.c.name, _secret_bound)):
            rows = connection.execute(select(name.table)).all()
            opened = _opened(old, rows, bound)
            if opened is None:
                return None
            living = [(row, key) for row, key in zip(rows, opened, strict=True) if key is not None]
            wraps = new.wrap_all(generation, [(key, bound(row, generation)) for row, key in living])
            for (row, _), wrapped in zip(living, wraps, strict=True):
                of_it = name == getattr(row, name.name)
                values = {"generation": generation, "wrapped": wrapped}
                connection.execute(update(name.table).where(of_it).values(values))
            for row, key in zip(rows, opened, strict=True):
                if key is None:
                    connection.execute(delete(name.table).where(name == getattr(row, name.name)))
                    left_out += 1
    truncate_log(engine)
    return left_out


def _kek_bound(row: DbRow, generation: int) -> bytes:
    return kek_data(row.id, row.data_class, row.epoch, generation)


def _secret_bound(row: DbRow, generation: int) -> bytes:
    return secret_data(row.name, generation)
