"""Taking a snapshot of a home's keys, for a time (`keeping.snapshots`). It lies in a folder: in a
bucket nothing can be overwritten, and what is deleted may live on as a version.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from bailee.backup import folder as files
from bailee.backup.manifest import Snapshot, snapshot_bytes
from bailee.db.accounts import accounts
from bailee.db.engine import reading, storage_errors
from bailee.keeping.snapshots import KEYRING, ROOT, SAYS, KeySnapshot
from bailee.keyring import FileRoot, signing
from bailee.node import Node


def take_keys(node: Node, target: Path, live: timedelta) -> KeySnapshot:
    """Take a snapshot of the keyring, into a folder of its own below `target`; `live`: how long it
    does.

    It is on record before its first byte is written; a crash in between leaves one that opens
    nothing, and goes at its time.

    Raises:
        StorageError: it can't be written.
    """
    now = node.clock()
    name = "keys_" + os.urandom(8).hex()
    place = target.resolve() / name
    until = now + live
    try:
        files.made_folder(place)
    except OSError as error:
        raise files.failed(place, error) from error
    _make_holders(node)
    noted = KeySnapshot(name, str(place), node.keyring.generation(), now, until)
    node.snapshots.note(noted)
    leaves = node.sequencer.run()
    node.keyring.copy(FileRoot(place / ROOT), place / KEYRING)
    _, sha256 = files.hashed(place / KEYRING)
    said = Snapshot(name, node.marks.home_id, now, until, noted.generation, sha256, leaves)
    files.written(place / SAYS, snapshot_bytes(said, node.keyring.secret(signing.NAME)))
    return noted


def _make_holders(node: Node) -> None:
    """Have each account's key in the snapshot: what is decided later about its sessions lies under
    it in the log, and a restore has to open that. A person's is made with them.
    """
    query = select(accounts.c.id).where(accounts.c.person_id.is_(None))
    with storage_errors("the accounts"), reading(node.data) as connection:
        found = connection.execute(query).scalars().all()
    known = {*node.keyring.subjects("acc_")} if found else set()
    for account in found:
        if account not in known:
            node.ledger.sealing.seal(account, b"", b"")
