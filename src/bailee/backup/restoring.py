"""Restoring a home from a backup of its data and a snapshot of its keys, and doing again whatever
was decided since, before anything is served.

The steps, and what a crash between them leaves:

1. Backup, snapshot and log are read whole, and checked against one another; what is to be replayed
   is planned. Nothing has been written; what can't be replayed is refused here.
2. The new home says in its own file that it is being restored: nobody else opens it.
3. Keys are put under a new root of its own, files are copied; the database comes last. The same
   command begins this step anew.
4. The entries since are put back into the audit record, which is then what the log commits to.
   Ways in, choices, holds, deletions and erasures are done again, what is due is destroyed, and
   the root is rotated. Each can be repeated, and the same command does.
5. The home says that it is whole.

Rules kept here:

* The log must be newer than the backup: it has the entry that the backup was made. An older one,
  a forked one and one with a changed file are refused, by name.
* What an entry does not say in full is done on the safe side, and reported (`replaying`).
* The restored home's marks begin above any that the old one's had, so that no part of that is ever
  taken for one of this.

Rows: R5, R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from bailee import config
from bailee.backup import folder as files
from bailee.backup import into_databases
from bailee.backup.applying import apply_to_data, apply_to_node, put_back
from bailee.backup.closing import Applied
from bailee.backup.creating import check_apart
from bailee.backup.into_databases import RestoredDatabases, without_addresses
from bailee.backup.manifest import BackedFile, digest
from bailee.backup.places import BackupPlace
from bailee.backup.sources import Sources, checked
from bailee.clock import Clock, system_clock
from bailee.config import Settings
from bailee.db.checks import KEY as ROW_KEY
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.home import Home, HomeLock, parts
from bailee.home.belonging import Mark, Stage
from bailee.keeping.snapshots import KEYRING, ROOT, KeySnapshot
from bailee.keyring import (
    EnvironmentRoot,
    FileRoot,
    Root,
    copying,
    driver_of,
    open_root,
)
from bailee.ledger import Folder
from bailee.ledger import signing as log_signing
from bailee.ledger.folder import BEING_WRITTEN, CHECKPOINT
from bailee.ledger.verifying import Check, copied
from bailee.node import Node, objects
from bailee.node.objects import HomeObjects
from bailee.node.wiring import Wiring
from bailee.vault.spool_writing import subject_of as file_subject

_LOG_FILES: Final = 64  # of the log, written at once
_TOGETHER: Final = 16  # files of the backup for each thread that copies
_BEHIND: Final = timedelta(minutes=5)
_NEW: Final = timedelta(hours=1)  # how old a service's key may be that is made for a restore
_NAMED: Final = 5  # files that an error names


@dataclass(frozen=True, slots=True)
class Restored:
    """A home that was restored: from which backup and keys; how many entries were put back, and how
    many decisions of them done again; `look`: what the operator has to see to; `on_postgresql`:
    whether its databases are there.
    """

    home: str
    backup: str
    keys: str
    entries: int
    undone: int
    look: tuple[str, ...]
    on_postgresql: bool


@dataclass(frozen=True, slots=True)
class Copying:
    """How far copying is, in files."""

    done: int
    of: int


def restore(
    place: BackupPlace,
    keys: Path,
    home: Home,
    ledger: Path | None,
    *,
    checkpoint: bytes | None = None,
    environment: Mapping[str, str],
    clock: Clock | None = None,
) -> Iterator[Copying | Restored]:
    """Restore the backup in `place` with the newest snapshot in `keys` into `home`, which is new;
    `ledger`: a copy of the home's log that is newer than the backup, or of the home;
    `checkpoint`: one of this log that somebody remembers, which that copy must have come to.
    Gives how far it is, and last what was done.

    Raises:
        InputError: something is not there, or the home is in use or not new.
        IntegrityError: something is not what was written, does not belong together, or can't be
            replayed.
        StorageError: something can't be read or written; the same command goes on.
    """
    check_apart(place, keys, home.path)
    now = (clock or system_clock)()
    sources = checked(place, keys, ledger, checkpoint)
    last = max((row.at for row in sources.rows), default=sources.manifest.at)
    if now < last - _BEHIND:
        raise InputError(
            f"this machine's clock is behind the log: its last entry is of {last:%Y-%m-%d %H:%M}.",
            code="configuration",
            hint="set the clock right: what is past its time is told by it",
        )
    known = parts.restored_of(home)
    if known is None and _is_used(home.path):
        raise InputError(
            f"{home.path} is not empty.",
            code="configuration",
            hint="a home is restored into a new folder; the old one stays as it is",
        )
    if known not in (None, sources.which):
        raise InputError(
            f"{home.path} was begun to be restored from something else.",
            code="configuration",
            hint="go on with the same backup, keys and log; or remove it and begin anew",
        )
    try:
        files.made_folder(home.path)
        parts.write_own(home, sources.manifest.home, Stage.RESTORING, sources.which)
        for folder in (*home.stores, home.root_key_file.parent, home.lock_file.parent):
            files.made_folder(folder)
    except OSError as error:
        raise files.failed(home.path, error) from error
    with HomeLock(home):
        with ExitStack() as closing:  # whoever opens the home connects anew
            there = into_databases.opened(home, environment, closing)
            if not (there.has_data if there else home.data_database.exists()):
                yield from _copy(sources, home, environment, now, there)
        done = _replay(sources, home, environment, clock)
        files.remove(_begun_root(home))
        parts.write_own(home, sources.manifest.home, Stage.WHOLE)
        files.remove(into_databases.begun_file(home))
    yield Restored(
        str(home.path),
        sources.manifest.backup,
        sources.snapshot.snapshot,
        len(sources.rows),
        done.undone,
        tuple(done.look),
        there is not None,
    )


# -- the files -----------------------------------------------------------------------------------


def _copy(
    sources: Sources,
    home: Home,
    environment: Mapping[str, str],
    now: datetime,
    there: RestoredDatabases | None,
) -> Iterator[Copying]:
    """Everything but what is done with it. Begun anew, it replaces what it left; what is in a
    database that is `there` stays.
    """
    of_all, wanted = len(sources.manifest.files), {one.path: one for one in sources.manifest.files}
    if (settings := wanted.pop(home.settings_file.name, None)) is not None:
        whole = home.settings_file.with_name("restored.toml")  # as it is it leads to the old home
        _copy_file(settings, sources, whole)
        said = without_addresses(whole.read_bytes().decode("utf-8", "surrogateescape"))
        files.written(home.settings_file, said.encode("utf-8", "surrogateescape"))
        files.remove(whole)
    if there is None:
        _copy_keys(sources, home, environment, now, home.keyring_database)
    elif not there.has_keys:
        beside = into_databases.beside(home.keyring_database)
        _copy_keys(sources, home, environment, now, beside)
        there.take_keys(beside)
    _copy_log(sources, home)
    parts.write_vault_mark(home, Mark(sources.manifest.home, 0))
    database = wanted.pop("data/data.db", None)
    yield Copying(done := of_all - len(wanted) - (database is not None), of_all)
    copy = partial(_copy_one, sources, home, _bucket(sources, home, environment))
    some, together = [*wanted.values()], _TOGETHER * sources.place.at_once
    with ThreadPoolExecutor(sources.place.at_once) as pool:
        for start in range(0, len(some), together):
            part = some[start : start + together]
            for _ in pool.map(copy, part):
                yield Copying(done := done + 1, of_all)
    files.settled(home.path)
    if database is not None:
        own = home.data_database
        target = own if there is None else into_databases.beside(own)
        _copy_file(database, sources, target)
        if there is not None:
            there.take_data(target, _row_key(sources))
    files.settled(home.path / "data")
    yield Copying(of_all, of_all)


def _bucket(sources: Sources, home: Home, environment: Mapping[str, str]) -> HomeObjects | None:
    """The bucket into which segments and reports go; None: into the home's folders."""
    settings = config.load(home.settings_file, environment, {})
    if not objects.are_elsewhere(settings):
        return None
    begun = into_databases.begun_by(home)
    return objects.open_objects(home, settings, environment, sources.manifest.home, begun=begun)


def _copy_one(sources: Sources, home: Home, bucket: HomeObjects | None, file: BackedFile) -> None:
    """Put a file where the new home has it."""
    there = None if bucket is None else bucket.named(file.path)
    if there is None:
        _copy_file(file, sources, home.path / file.path)
        return
    kept, name = there
    content = b"".join(sources.place.pieces(f"{file.folder}/{file.path}"))
    if (len(content), digest(content)) != (file.size, file.sha256):
        raise _changed(file, sources)
    kept.put(name, content)


def _copy_file(file: BackedFile, sources: Sources, target: Path) -> None:
    name = f"{file.folder}/{file.path}"
    try:
        found = files.saved(sources.place.pieces(name), target)
    except OSError as error:
        raise files.failed(target, error) from error
    if found != (file.size, file.sha256):
        files.remove(target)
        raise _changed(file, sources)


def _changed(file: BackedFile, sources: Sources) -> IntegrityError:
    return IntegrityError(
        f"{sources.place.named}/{file.folder}/{file.path} is not what was written.",
        hint="take another backup; nothing is served",
    )


def _row_key(sources: Sources) -> bytes:
    with copied(sources.keys / KEYRING) as engine:
        return copying.secret_of(engine, FileRoot(sources.keys / ROOT, may_make=False), ROW_KEY)


def _copy_keys(
    sources: Sources, home: Home, environment: Mapping[str, str], now: datetime, target: Path
) -> None:
    """The snapshot's keys into a file, under a root of the home's own. That begins where the old
    home's was, so that what was noted by its generations stays true.
    """
    begun = _begun_root(home)
    for place in (home.keyring_database.parent, home.root_key_file.parent):
        for path in files.files_in(place):
            if path != begun:
                files.remove(path)
    settings = config.load(home.settings_file, environment, {})
    root = _new_root(home, settings, environment, sources.snapshot.at, now)
    while root.generations()[-1] <= sources.snapshot.generation:
        root.add()
        root.destroy(root.generations()[0])
    with copied(sources.keys / KEYRING) as engine:
        old = FileRoot(sources.keys / ROOT, may_make=False)
        copying.copy(engine, old, root, target)


def _new_root(
    home: Home,
    settings: Settings,
    environment: Mapping[str, str],
    taken: datetime,
    now: datetime,
) -> Root:
    """A root of the home's own, without generations from before; or the one that a restore which
    was broken off has begun, which says so before it makes it. A service that makes the first
    generation with the key has none without: there the key has to be new, of the last hour and made
    since the snapshot was `taken`.

    Raises:
        InputError: the one that is set is somebody's already: the old home's, as a rule, whose
            generations this home would destroy.
    """
    where = settings.text("keyring.root") or "file"
    file, begun = home.root_key_file, _begun_root(home)
    own = begun.exists() and begun.read_bytes() == where.encode()
    if not own and driver_of(where) not in (FileRoot.driver, EnvironmentRoot.driver):
        with suppress(IntegrityError):
            made = open_root(where, file, settings, environment, may_make=False).first_made
            if made is None or made <= taken or now - made > _NEW:
                raise InputError(
                    "the root key that keyring.root names is in use, or not new.",
                    code="configuration",
                    hint="name a new one for the restored home, made for it within the hour, with "
                    "BAILEE_KEYRING_ROOT; what its driver needs besides is set in the same way",
                )
        files.written(begun, where.encode())
    return open_root(where, file, settings, environment, may_make=True)


def _begun_root(home: Home) -> Path:
    """Which root this restore has begun to make in a service, until it is done."""
    return home.root_key_file.with_name("made-by-restore")


def _copy_log(sources: Sources, home: Home) -> None:
    """The log as it was checked: what came to it since is left."""
    size = log_signing.opened(sources.note, sources.trust).size
    files.remove(home.ledger)
    made, some = Folder(home.ledger), dict[str, bytes]()
    for name in sources.ledger.names():
        if name == CHECKPOINT or name.startswith(BEING_WRITTEN):
            continue
        content = sources.ledger.read(name)
        if content is not None:
            some[name] = content
        if len(some) == _LOG_FILES:
            made.write(some)
            some = {}
    made.write(some)
    made.write({CHECKPOINT: sources.note})
    damaged = Check(made, sources.trust, sources.note).run().damaged
    if damaged or size != log_signing.opened(made.read(CHECKPOINT) or b"", sources.trust).size:
        raise StorageError("the log changed while it was copied.", hint="the same command goes on")


# -- what was decided since ----------------------------------------------------------------------


def _replay(
    sources: Sources, home: Home, environment: Mapping[str, str], clock: Clock | None
) -> Applied:
    wiring = Wiring(home, clock=clock, environment=environment, restoring=True)
    ground, own = wiring.ground, sources.snapshot
    try:
        put_back(ground.data, sources.rows)
        log = ground.sequencer.folder
        damaged = Check(log, sources.trust, sources.note, ground.data).run().damaged
        if damaged:
            named = "; ".join(f"{one.where}: {one.what}" for one in damaged[:_NAMED])
            raise IntegrityError(
                f"the backup's audit record is not the one that the log commits to. {named}",
                hint="take another backup; this one is not served",
            )
        done = Applied()
        apply_to_data(ground.data, sources.plan, done, ground.ledger.sealing)
        ground.keyring.destroy(ground.keyring.subjects(file_subject("")))  # of no file there is
        node = Node.over(wiring)
        sources.plan.snapshots.pop(own.snapshot, None)  # it may end when all is done, not before
        apply_to_node(node, sources.plan, done)
        at = (str(sources.keys.resolve()), own.generation, own.at, own.until)
        node.snapshots.note(KeySnapshot(own.snapshot, *at))
        _rotate(node)
        said = {
            "since": int(sources.manifest.at.timestamp()),
            "entries": len(sources.rows),
            "undone": done.undone,
        }
        node.ledger.append("home.restored", sources.manifest.backup, said)
        node.sequencer.run()
        node.marks.advance()
    finally:
        wiring.close()
    return done


def _rotate(node: Node) -> None:
    """Rotate the root of a home that is all there. What waits for a standby that has not got it
    all, the first sweep of its server finishes.
    """
    try:
        node.vault.rotate(node.clock())
    except StorageError as error:
        if error.code != "standby_behind":
            raise


def _is_used(path: Path) -> bool:
    """Whether there is something in a folder that is to be a new home."""
    ours = {"lost+found", "home.json.new"}
    try:
        return any(one.name not in ours for one in path.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise files.failed(path, error) from error
