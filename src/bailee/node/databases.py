"""Where a home's two databases are: SQLite's files in it, or databases on PostgreSQL; opened.

Rules kept here:

* Both are on PostgreSQL or neither, and there they are two: a copy of the one must never hold what
  the other needs.
* Which home a database is of is read before anything is made in it (`home.belonging`), and a home
  that has files of SQLite's is not opened with databases elsewhere in their place.
* On PostgreSQL one process at a time has them, by a lease (`db.leases`): the lock on the home's
  folder (`home.lock`) says nothing of another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from sqlalchemy import Engine, Table, inspect, select

from bailee.config import Settings
from bailee.db import beside
from bailee.db.engine import Room, open_sqlite, overwrites, reading, storage_errors
from bailee.db.fencing import fence_of
from bailee.db.identity import data_identity, keys_identity
from bailee.db.leases import Lease, lease_of
from bailee.db.postgresql import open_postgresql, which
from bailee.errors import InputError, IntegrityError
from bailee.home import Home
from bailee.home.belonging import PARTS, Mark, Part
from bailee.home.commits import CommitCounts

SETTINGS: Final = ("database.url", "keyring.database_url")


def are_elsewhere(settings: Settings) -> bool:
    """Whether the databases are on PostgreSQL.

    Raises:
        InputError: code `configuration`: one is said to be there, and of the other nothing is.
    """
    set_ = [name for name in SETTINGS if settings.text(name) is not None]
    if len(set_) == 1:
        (missing,) = {*SETTINGS} - {*set_}
        raise InputError(
            f"{set_[0]} is set, and {missing} is not.",
            code="configuration",
            hint="both databases are on PostgreSQL, or neither",
        )
    return bool(set_)


def connect(home: Home, settings: Settings, closing: ExitStack) -> tuple[Engine, Engine] | None:
    """The engines of the two databases on PostgreSQL, which `closing` closes; None: they are files
    in the home. Nothing is made.

    Raises:
        InputError: code `configuration`: the settings do not fit one another, or the home.
        StorageError: one can't be reached, will not do, or another process has it.
    """
    if not are_elsewhere(settings):
        if home.elsewhere_file.exists():
            raise InputError(
                "this home has its databases on PostgreSQL, and neither database.url nor "
                "keyring.database_url is set.",
                code="configuration",
                hint="set them as they were, in bailee.toml or as BAILEE_DATABASE_URL and "
                "BAILEE_KEYRING_DATABASE_URL; nothing was changed",
            )
        return None
    if home.data_database.exists() or home.keyring_database.exists():
        raise InputError(
            "this home has its databases in files, and database.url names others.",
            code="configuration",
            hint='it moves there by a backup and a restore (guide, "On PostgreSQL")',
        )
    data, keys = engines = _opened(settings, closing)
    if which(data) == which(keys):
        raise InputError(
            "database.url and keyring.database_url name the same database.",
            code="configuration",
            hint="make another for the keys: a copy of the one must not hold what the other needs",
        )
    counts = CommitCounts(home.commits_file)
    closing.callback(counts.close)
    for engine, name, part in zip(engines, SETTINGS, PARTS[:2], strict=True):
        fence = fence_of(engine)
        assert fence is not None
        fence.before, fence.note = counts.known.get(part, 0), partial(counts.note, part)
        lease = Lease(engine, name)
        lease.take()
        closing.callback(lease.give_back)
    return data, keys


def connect_beside(settings: Settings, closing: ExitStack) -> tuple[Engine, Engine]:
    """The engines of the two databases of a home that another process has; nothing can be written
    by them. `closing` closes them.

    Raises:
        InputError: code `configuration`: they are files, which one process alone has; or the
            settings do not fit one another.
        StorageError: one can't be reached, or will not do.
    """
    if not are_elsewhere(settings):
        raise InputError(
            "this home has its databases in files, which one process has alone.",
            code="configuration",
            hint="set database.url and keyring.database_url, as the server has them",
        )
    data, keys = _opened(settings, closing, reads_only=True)
    return data, keys


def connect_member(settings: Settings, closing: ExitStack) -> tuple[Engine, Engine]:
    """The same, to write by what a member may (`db.members`), once it has joined by them. Errors as
    in `connect_beside`.
    """
    data, keys = _opened(settings, closing, member=True)
    return data, keys


def open_beside(settings: Settings, home: str, schema: str) -> Engine:
    """The engine by which a process beside the one with the home (its id) writes what it may to the
    data database.

    Raises:
        StorageError, IntegrityError: see `db.beside.open_beside`.
    """
    name = SETTINGS[0]
    return beside.open_beside(settings.text(name) or "", name, home, schema)


def _opened(
    settings: Settings, closing: ExitStack, *, reads_only: bool = False, member: bool = False
) -> list[Engine]:
    engines = []
    for name in SETTINGS:
        address = settings.text(name) or ""
        engine = open_postgresql(address, name, reads_only=reads_only, member=member)
        closing.callback(engine.dispose)
        engines.append(engine)
    return engines


def there(data: Engine, keys: Engine) -> dict[str, Engine]:
    """The two databases by the settings that name them, as far as they are on PostgreSQL."""
    both = zip(SETTINGS, (data, keys), strict=True)
    return {name: engine for name, engine in both if not overwrites(engine)}


def leases(data: Engine, keys: Engine) -> list[Lease]:
    """The leases by which this process has the two databases; none: they are files."""
    return [lease for engine in (data, keys) if (lease := lease_of(engine)) is not None]


def unsure_of(held: Sequence[Lease]) -> Callable[[], float] | None:
    """For how many seconds one of the leases has not been known to be held; None: there is none."""
    return (lambda: max(lease.unsure() for lease in held)) if held else None


def files(home: Home, room: Room, closing: ExitStack) -> tuple[Engine, Engine]:
    """The engines of the two files in a home, made where they are not there."""
    data, keys = (open_sqlite(path, room) for path in (home.data_database, home.keyring_database))
    closing.callback(data.dispose)  # if it is refused later, no file of SQLite's is left behind
    closing.callback(keys.dispose)
    return data, keys


def parts(data: Engine, keys: Engine) -> Mapping[str, Part]:
    """Which home the two databases on PostgreSQL are of.

    Raises:
        IntegrityError, StorageError: one does not say it, or can't be read.
    """
    return {"data": _part(data, data_identity), "keyring": _part(keys, keys_identity)}


def _part(engine: Engine, table: Table) -> Part:
    with storage_errors("the home's mark"), reading(engine) as connection:
        there = inspect(connection).get_table_names()
        if table.name not in there:
            return Part(there=bool(there))
        row = connection.execute(select(table)).first()
    if row is None:
        return Part(there=True)
    said = row._mapping
    try:
        mark = Mark(str(said["home"]), int(said["mark"]), int(said.get("sure", 0)))
    except (TypeError, ValueError):
        raise IntegrityError(
            f"the table {table.name} is damaged: it does not say which home it is of.",
            hint="put the database back from a copy; nothing was changed",
        ) from None
    fence = fence_of(engine)
    return Part(True, mark, lacks=fence is not None and fence.commits < fence.before)
