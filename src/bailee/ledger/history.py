"""The history: what each leaf of the log commits to, sealed, in files beside the tiles.

A copy of `ledger/` shows that nothing was taken back, and not what was decided: its leaves are
salted commitments. Who restores an old backup has to know what was deleted, revoked and chosen
since, when the database that says so is lost. So each leaf's entry lies here once more:

    history/000001/3f    entries of the leaves from 256·(256·1 + 63) on, each
                         leaf (8 bytes), length (4), nonce (12), AES-256-GCM of the entry

Rules kept here:

* An entry is sealed under a secret of the keyring, and bound to its leaf. Without keys a file shows
  how many entries there are and how long they are, and names nobody.
* What is somebody's of an entry is not in it, sealed or not: only its digest is. So an erasure has
  nothing to take away here.
* An entry counts only if it is what its leaf commits to: who has the keys can't change it either.
* A file is written before the checkpoint that has its leaves; one that leads beyond says nothing.

Rows: R5, R6.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from struct import Struct
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError
from bailee.ledger.folder import Folder
from bailee.ledger.payload import written
from bailee.ledger.sequencing import Committed, entry_of
from bailee.ledger.tlog.tiles import WIDTH, Tiles

NAME: Final = "ledger/history"
"""The keyring's named secret under which entries are sealed."""
FOLDER: Final = "history/"
_HEAD: Final = Struct(">QI")
_NONCE_BYTES: Final = 12


class History:
    """The history of one log. The sequencer has it written, a restore reads it; it writes no file
    itself, and holds no entry.
    """

    def __init__(self, folder: Folder, secret: Callable[[], bytes]) -> None:
        """`secret` is asked for its 32 bytes when they are first needed."""
        self._folder = folder
        self._secret = secret

    def files(self, rows: Sequence[Committed]) -> Mapping[str, bytes]:
        """The files that have these rows too, which are leaves one after the other, by name.

        Raises:
            IntegrityError: one that is there is damaged.
            StorageError: it can't be read.
        """
        made: dict[str, list[bytes]] = {}
        encrypt, head, group = AESGCM(self._secret()).encrypt, _HEAD.pack, -1
        random = os.urandom(_NONCE_BYTES * len(rows))
        for row, at in zip(rows, range(0, len(random), _NONCE_BYTES), strict=True):
            leaf = row.leaf
            if leaf // WIDTH != group:
                group = leaf // WIDTH
                name = name_of(leaf)
                made[name] = parts = [
                    head(before, len(sealed)) + sealed
                    for before, sealed in self._framed(name)
                    if before < leaf
                ]
            nonce = random[at : at + _NONCE_BYTES]
            sealed = nonce + encrypt(nonce, _packed(row), _bound(leaf))
            parts.append(head(leaf, len(sealed)) + sealed)
        return {name: b"".join(parts) for name, parts in made.items()}

    def entries(self, first: int, log: Tiles, size: int) -> Iterator[Committed]:
        """The entries of the leaves from `first` on, of a log of `size` leaves, in order: each is
        what its leaf commits to. What was somebody's is not in them.

        Raises:
            IntegrityError: one is not there, or not what was written; it is named.
            StorageError: a file can't be read.
        """
        for group in range(first // WIDTH, -(-size // WIDTH)):
            for row in self._group(group, log, size, first):
                if row.leaf >= first:
                    yield row

    def wrong(self, log: Tiles, size: int) -> Iterator[IntegrityError]:
        """What is wrong with the history of a log of `size` leaves, file by file. Leaves from
        before there was a history are in none.

        Raises:
            StorageError: a file can't be read.
        """
        for group in range(-(-size // WIDTH)):
            try:
                for _ in self._group(group, log, size, size):
                    pass
            except IntegrityError as error:
                yield error

    def _group(self, group: int, log: Tiles, size: int, first: int) -> Iterator[Committed]:
        """The entries of one file, each checked; from the leaf `first` on they must be there, and
        so must those that follow one that is.
        """
        name, cipher = name_of(group * WIDTH), AESGCM(self._secret())
        there = dict(self._framed(name))
        leaves = log.entries(group) if there or first < (group + 1) * WIDTH else []
        begun = False
        for leaf in range(group * WIDTH, min(size, (group + 1) * WIDTH)):
            if leaf not in there:
                if leaf < first and not begun:
                    continue  # from before there was a history
                raise _damaged(name, f"does not have leaf {leaf}")
            begun = True
            try:
                sealed = there[leaf]
                nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
                row = _unpacked(leaf, cipher.decrypt(nonce, rest, _bound(leaf)))
            except (InvalidTag, ValueError, TypeError) as error:
                raise _damaged(name, f"is not what was written at leaf {leaf}") from error
            if entry_of(row) != leaves[leaf - group * WIDTH]:
                raise _damaged(name, f"has another entry than the log at leaf {leaf}")
            yield row

    def _framed(self, name: str) -> Iterator[tuple[int, bytes]]:
        content, at = self._folder.read(name) or b"", 0
        while at < len(content):
            if at + _HEAD.size > len(content):
                raise _damaged(name, "ends in the middle")
            leaf, length = _HEAD.unpack_from(content, at)
            at += _HEAD.size
            if at + length > len(content) or name_of(leaf) != name:
                raise _damaged(name, "is not what was written")
            yield leaf, content[at : at + length]
            at += length


def name_of(leaf: int) -> str:
    """The file that has a leaf's entry."""
    above, below = divmod(leaf // WIDTH, 256)
    return f"{FOLDER}{above:06x}/{below:02x}"


def _packed(row: Committed) -> bytes:
    number, when, kind, subject, body, whose, _, _, salt, digest, _ = row
    said = None if digest is None else digest.hex()
    return orjson.dumps((number, when, kind, subject, body, whose, salt.hex(), said))


def _unpacked(leaf: int, plain: bytes) -> Committed:
    number, at, kind, subject, body, whose, salt, digest = orjson.loads(plain)
    return Committed(
        number,
        written(datetime.fromisoformat(at)),
        kind,
        subject,
        body,
        whose,
        None,
        leaf,
        bytes.fromhex(salt),
        None if digest is None else bytes.fromhex(digest),
    )


def _bound(leaf: int) -> bytes:
    return b"bailee/history/1\x00" + leaf.to_bytes(8, "big")


def _damaged(name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"ledger/{name} {what}.",
        hint="take another copy of ledger/; the one of the home as it was last is best",
    )
