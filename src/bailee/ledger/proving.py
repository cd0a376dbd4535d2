"""The proof that an entry of the audit record is a leaf of the tree.

It is a file of `c2sp.org/tlog-proof@v1` whose `extra` is the leaf's salt and the payload, so that
SHA-256 of it is the leaf's content. Who checks it needs the log's public key, and nothing else.

Rows: P4.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from bailee.db.audit import audit
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError
from bailee.ledger.folder import Folder, believed
from bailee.ledger.sequencing import LEAVES, committed, entry_of, payload_of
from bailee.ledger.tlog import tree
from bailee.ledger.tlog.proofs import Proof
from bailee.ledger.tlog.tiles import Tiles
from bailee.ledger.tlog.trust import Trust

_ONE: Final = LEAVES.params(first=0, most=1)


def prove(engine: Engine, folder: Folder, trust: Trust, number: int) -> tuple[Proof, bytes]:
    """The proof of the entry with this number, under the latest checkpoint that `trust` believes;
    and the payload that it is about.

    Raises:
        InputError: code `not_found`, there is no such entry, or the checkpoint does not have it.
        IntegrityError: files or entry are not what was signed.
        StorageError: they can't be read.
    """
    with storage_errors("the audit record"), reading(engine) as connection:
        found = connection.execute(_ONE.where(audit.c.number == number)).first()
    row = None if found is None else committed(found)
    under = ((n, c) for n, c in believed(folder, trust) if row is not None and row.leaf < c.size)
    note, signed = next(under, (None, None))
    if row is None or note is None or signed is None:
        raise InputError(
            f"the audit record has no entry {number} that is signed as it must be.",
            code="not_found",
            hint="bailee audit list shows which there are, and bailee audit witness who cosigned",
        )
    log = Tiles(signed.size, signed.root_hash, folder.fetch)
    hashes = tuple(tree.inclusion(row.leaf, signed.size, log.hashes))
    payload = payload_of(row)
    made = Proof(row.leaf, hashes, note, row.salt + payload)
    made.verify(entry_of(row), trust)  # what was changed since is never handed out
    return made, payload
