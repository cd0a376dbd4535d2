"""The marks of a home's parts, on the disk. What they mean says `belonging`.

Reading writes nothing, but for SQLite's own index of a log that a crash left (`-shm`). The marks of
the two databases are written where those are open (`bailee.node.marks`).

```
home.json            the home's id, and how far it is with being made
data/data.db         table `identity`
keyring/keyring.db   table `identity`
vault/home.json      id and mark
```
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from bailee.errors import IntegrityError, StorageError
from bailee.home import logs
from bailee.home.belonging import HomeStanding, Mark, Part, Stage, judge
from bailee.home.layout import Home
from bailee.syncing import sync_folder


def examine(
    home: Home,
    accepted: Collection[str] = (),
    *,
    restoring: bool = False,
    elsewhere: Mapping[str, Part] = MappingProxyType({}),
) -> HomeStanding:
    """How a home stands, before anything of it is opened. Who asks holds its lock. `restoring`: who
    asks restores it. `elsewhere`: the parts `data` and `keyring`, where they are no files in it;
    and `vault`, for where its folder is not there.

    Raises:
        IntegrityError: code `home_parts`, parts do not belong together (`belonging.judge`); or a
            mark is damaged.
        StorageError: something can't be read.
    """
    own = _read(home.identity_file)
    vault = _vault(home)
    parts = {
        "data": elsewhere.get("data") or _database(home.data_database),
        "keyring": elsewhere.get("keyring") or _database(home.keyring_database),
        "vault": vault if vault.there else elsewhere.get("vault", vault),
    }
    rooted = home.root_key_file.exists()
    if own is None:
        return judge(None, parts, accepted, rooted=rooted)
    try:
        said = str(own["home"]), Stage(own["stage"])
    except (KeyError, ValueError) as error:
        raise _damaged(home.identity_file) from error
    return judge(said, parts, accepted, rooted=rooted, restoring=restoring)


def id_of(home: Home) -> str | None:
    """A home's id, by its own file; None: it has none yet.

    Raises:
        IntegrityError: the file is damaged.
        StorageError: it can't be read.
    """
    own = _read(home.identity_file)
    return None if own is None else str(own.get("home"))


def write_own(home: Home, home_id: str, stage: Stage, of: str | None = None) -> None:
    """Say in the home's own file which it is, and how far; `of` what it is being restored.

    Raises:
        StorageError: it can't be written.
    """
    restored = {} if of is None else {"of": of}
    _write(home.identity_file, {"home": home_id, "stage": stage, **restored})


def restored_of(home: Home) -> str | None:
    """Of what a home is being restored; None: it is not.

    Raises:
        IntegrityError: its own file is damaged.
        StorageError: it can't be read.
    """
    own = _read(home.identity_file) or {}
    return str(own.get("of")) if own.get("stage") == Stage.RESTORING else None


def write_elsewhere(home: Home) -> None:
    """Say in the home that its databases are on PostgreSQL, if it does not say so.

    Raises:
        StorageError: it can't be written.
    """
    if not home.elsewhere_file.exists():
        _write(home.elsewhere_file, {"databases": "postgresql"})


def write_vault_mark(home: Home, mark: Mark) -> None:
    """Write the vault's mark, durable.

    Raises:
        StorageError: it can't be written.
    """
    _write(home.vault_mark_file, {"home": mark.home, "mark": mark.number})


def write_objects(home: Home, home_id: str, where: str) -> None:
    """Say in the home that its segments and reports are in a bucket.

    Raises:
        StorageError: it can't be written.
    """
    _write(home.objects_file, {"home": home_id, "objects": where})


def _database(path: Path) -> Part:
    try:
        if not path.stat().st_size:
            return Part(there=False)
        log = path.with_name(f"{path.name}-wal")
        written = log.exists() and log.stat().st_size > 0
        torn = written and logs.lost_more_than_a_crash_can(log.read_bytes())
        # Without a log nobody is writing: the lock is ours. `immutable` leaves no file beside it.
        how = "mode=ro" if written else "mode=ro&immutable=1"
        uri = f"file:{quote(str(path))}?{how}"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            known = "SELECT 1 FROM sqlite_master WHERE name = 'identity'"
            if connection.execute(known).fetchone() is None:
                return Part(there=True)
            row = connection.execute("SELECT * FROM identity").fetchone()
            if row is None:
                return Part(there=True)
            sure = row["sure"] if "sure" in row.keys() else 0  # noqa: SIM118 - a Row has values
            return Part(True, Mark(str(row["home"]), int(row["mark"]), int(sure)), torn)
    except FileNotFoundError:
        return Part(there=False)
    except OSError as error:
        raise _unread(path, error) from error
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _vault(home: Home) -> Part:
    mark = _read(home.vault_mark_file)
    if mark is not None:
        try:
            return Part(True, Mark(str(mark["home"]), int(mark["mark"])))
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(home.vault_mark_file) from error
    try:
        return Part(there=any(path.name != "lost+found" for path in home.vault.iterdir()))
    except FileNotFoundError:
        return Part(there=False)
    except OSError as error:
        raise _unread(home.vault, error) from error


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unread(path, error) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def _write(path: Path, content: object) -> None:
    """Put a file in the place of the one before, whole or not at all."""
    beside = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} can't be written ({error.strerror}).",
            hint="check the disk's free space and the folder's permissions",
        ) from error


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged: it does not say which home it is of.",
        hint="put it back from a copy; nothing was changed",
    )


def _unread(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} can't be read ({error.strerror}).")
