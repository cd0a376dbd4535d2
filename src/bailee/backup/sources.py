"""What a restore is made from: a backup, a snapshot of keys and a log, read whole and checked
against one another before anything is written.

Rows: R5, R6.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from bailee.backup import folder as files
from bailee.backup.checking import compared, opened
from bailee.backup.manifest import Manifest, Snapshot, digest, snapshot_of
from bailee.backup.places import BackupPlace
from bailee.backup.replaying import Entry, ReplayPlan, plan
from bailee.errors import InputError, IntegrityError
from bailee.keeping.snapshots import KEYRING, ROOT, SAYS
from bailee.keyring import FileRoot, copying, signing
from bailee.ledger import Folder
from bailee.ledger import history as histories
from bailee.ledger import signing as log_signing
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.history import History
from bailee.ledger.sequencing import Committed
from bailee.ledger.signing import trusting
from bailee.ledger.tlog.tiles import Tiles
from bailee.ledger.tlog.trust import Trust
from bailee.ledger.verifying import Check, copied

NAMED: Final = 5
"""How many files an error names."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a restore is made from, all of it checked."""

    place: BackupPlace
    manifest: Manifest
    manifest_digest: str
    keys: Path
    snapshot: Snapshot
    ledger: Folder
    note: bytes
    trust: Trust
    rows: tuple[Committed, ...]
    plan: ReplayPlan

    @property
    def which(self) -> str:
        """By what a restore that was broken off is known again."""
        return f"{self.manifest_digest} {self.snapshot.snapshot} {digest(self.note)}"


def checked(
    place: BackupPlace, keys: Path, ledger: Path | None, checkpoint: bytes | None = None
) -> Sources:
    """Read all that a restore is made from, and check it; `checkpoint`: see `restore`.

    Raises:
        InputError: something is not there, or not new enough.
        IntegrityError: something is not what was written, does not belong together, or can't be
            replayed.
        StorageError: something can't be read.
    """
    manifest, signed_by, raw = opened(place)
    wrong = [one for one in compared(place, manifest) if one is not None]
    if wrong:
        named = "; ".join(f"{where}: {what}" for where, what in wrong[:NAMED])
        raise IntegrityError(
            f"{len(wrong)} files of the backup are wrong. {named}",
            hint="take another backup; nothing was restored",
        )
    lies, snapshot, key_signed_by = _snapshot(keys)
    if manifest.home != snapshot.home:
        raise IntegrityError(
            "data and keys are of two homes.",
            code="home_parts",
            hint="name the keys that belong to this data; nothing was restored",
        )
    if snapshot.leaves <= manifest.leaves:  # its own entry is among them
        raise IntegrityError(
            "the keys are older than the data: what was recorded last would open no more.",
            code="home_parts",
            hint="name keys that were taken with this backup, or after it; nothing was restored",
        )
    with copied(lies / KEYRING) as engine:
        root = FileRoot(lies / ROOT, may_make=False)

        def secret(name: str) -> bytes:
            return copying.secret_of(engine, root, name)

        own = signing.public_key(secret(signing.NAME))
        if {own} != {signed_by, key_signed_by}:
            raise IntegrityError(
                "the backup was not signed by the home that the keys are of.",
                hint="it was changed by somebody, or is another home's; nothing was restored",
            )
        trust = trusting([one.key for one in log_signing.signers(manifest.home, secret)])
        folder, note, rows = _log(ledger, trust, manifest, checkpoint, secret(histories.NAME))
    _check_newer(rows, manifest, digest(raw), snapshot)
    entries = [
        Entry(row.number, row.at, row.kind, row.subject, orjson.loads(row.body)) for row in rows
    ]
    return Sources(
        place,
        manifest,
        digest(raw),
        lies,
        snapshot,
        folder,
        note,
        trust,
        rows,
        plan(entries),
    )


def _snapshot(keys: Path) -> tuple[Path, Snapshot, str]:
    """The newest snapshot in a folder, or that folder itself: its place, what it says, who signed
    it. Its file of keys is what was written.
    """
    found = []
    for says in (keys / SAYS, *keys.glob(f"*/{SAYS}")):
        with suppress(FileNotFoundError):
            found.append((says.parent, *snapshot_of(says.read_bytes(), f"{says}")))
    if not found:
        raise InputError(
            f"there is no snapshot of keys in {keys}.",
            code="not_found",
            hint="name the folder that bailee backup create was given with --keys. Snapshots end "
            "after some time, and without one nothing of the backup can be read",
        )
    place, snapshot, key = max(found, key=lambda one: (one[1].leaves, one[1].at))
    try:
        _, sha256 = files.hashed(place / KEYRING)
    except OSError as error:
        raise files.failed(place / KEYRING, error) from error
    if sha256 != snapshot.sha256:
        raise IntegrityError(
            f"{place / KEYRING} is not what was written.",
            hint="take another snapshot of keys; nothing was restored",
        )
    return place, snapshot, key


def _log(
    given: Path | None,
    trust: Trust,
    manifest: Manifest,
    checkpoint: bytes | None,
    secret: bytes,
) -> tuple[Folder, bytes, tuple[Committed, ...]]:
    """The log, its checkpoint, and its entries since the backup. All of it is checked."""
    if given is None:
        raise _not_newer("no log was named")
    folder = Folder(given / "ledger" if (given / "ledger").is_dir() else given)
    note = folder.read(CHECKPOINT)
    if note is None:
        raise _not_newer(f"there is no log in {given}")
    remembered = [manifest.checkpoint.encode()] if manifest.checkpoint else []
    if checkpoint is not None:
        remembered.append(checkpoint)
    damaged = Check(folder, trust, remembered).run().damaged
    if damaged:
        named = "; ".join(f"{one.where}: {one.what}" for one in damaged[:NAMED])
        raise IntegrityError(
            f"the log in {folder.path} can't be believed. {named}",
            hint="take another copy of ledger/; nothing was restored",
        )
    signed = log_signing.opened(note, trust)
    if signed.size <= manifest.leaves:
        raise _not_newer(f"the log in {folder.path} is as old as the backup")
    log = Tiles(signed.size, signed.root_hash, folder.fetch)
    history = History(folder, lambda: secret)
    return folder, note, tuple(history.entries(manifest.leaves, log, signed.size))


def _check_newer(
    rows: tuple[Committed, ...], manifest: Manifest, manifest_digest: str, snapshot: Snapshot
) -> None:
    made = {row.subject: orjson.loads(row.body) for row in rows if row.kind == "backup.created"}
    if manifest.backup not in made:
        raise _not_newer("the log does not know of this backup")
    if made[manifest.backup].get("manifest") != manifest_digest:
        raise IntegrityError(
            "the backup's manifest is not the one that the log has.",
            hint="it was changed since, or is another one; nothing was restored",
        )
    if not any((row.kind, row.subject) == ("backup.keys_taken", snapshot.snapshot) for row in rows):
        raise _not_newer("the log does not know of these keys")
    if len({row.number for row in rows}) != len(rows):
        raise IntegrityError(
            "an older copy of the home's data was accepted since this backup: what that undid "
            "can't be told from what was decided.",
            hint="take a backup that was made after that; nothing was restored",
        )


def _not_newer(why: str) -> InputError:
    return InputError(
        f"{why}: what was deleted, revoked and chosen since the backup is not known.",
        code="not_found",
        hint="name a copy of the home's ledger/ that is newer than the backup, with --ledger: that "
        "of the old home is best. Without one nothing is restored",
    )
