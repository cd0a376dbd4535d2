"""The history: what each leaf of the log commits to, sealed, in files beside the tiles.

A copy of `ledger/` shows that nothing was taken back, and not what was decided: its leaves are
salted commitments. Who restores an old backup has to know what was deleted, revoked and chosen
since, when the database that says so is lost. So each leaf's entry lies here once more:

    history/000001/3f    the runs whose first leaf is one of the 256 from 256·(256·1 + 63) on, each
                         2^63 + first leaf (8 bytes), leaves (4), length (4), nonce (12),
                         AES-256-GCM of their salts, 32 bytes each, and their entries as JSON

A run is what the sequencer took up at once, sealed once. Entries from before there were runs are
sealed one by one: leaf (8), length (4), nonce (12), AES-256-GCM. They are read as ever, and a file
may have both.

Rules kept here:

* A run is sealed under a secret of the keyring, and bound to its leaves. Without keys a file shows
  how many entries there are and how long they are together, and names nobody.
* What is somebody's of an entry is not in it, sealed or not: only its digest is. So an erasure has
  nothing to take away here, and one seal may cover entries about several people.
* An entry counts only if it is what its leaf commits to: who has the keys can't change it either.
* A file is written before the checkpoint that has its leaves; one that leads beyond says nothing.
* Once there is a history every leaf is in it, so a file that is gone is missed.

Rows: R5, R6.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Final, TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError
from bailee.ledger.folder import Folder
from bailee.ledger.payload import SALT_BYTES, written
from bailee.ledger.sequencing import PORTION, Committed, entry_of
from bailee.ledger.tlog.tiles import WIDTH, Tiles

NAME: Final = "ledger/history"
"""The keyring's named secret under which entries are sealed."""
FOLDER: Final = "history/"
_RUN: Final = 1 << 63
_HEAD: Final = Struct(">QII")
_HEAD_ALONE: Final = Struct(">QI")
_NONCE_BYTES: Final = 12
_Said: TypeAlias = tuple[int, str, str, str, str, str | None]
"""Number, moment, kind, subject, body and holder: an entry's first columns."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Leaves one after the other, and what they are sealed in. `alone`: the one leaf of an entry
    from before there were runs.
    """

    first: int
    count: int
    sealed: bytes
    alone: bool = False


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
        made, cipher = dict[str, bytes](), AESGCM(self._secret())
        for start in range(0, len(rows), PORTION):
            some = rows[start : start + PORTION]
            first, nonce = some[0].leaf, os.urandom(_NONCE_BYTES)
            bound = _bound(_Run(first, len(some), b""))
            run = _Run(first, len(some), nonce + cipher.encrypt(nonce, _packed(some), bound))
            before, wrong = self._runs(name := name_of(first))
            if wrong is not None:
                raise wrong
            kept = [_framed(one) for one in before if one.first < first]
            made[name] = b"".join([*kept, _framed(run)])
        return made

    def entries(self, first: int, log: Tiles, size: int) -> Iterator[Committed]:
        """The entries of the leaves from `first` on, of a log of `size` leaves, in order: each is
        what its leaf commits to. What was somebody's is not in them.

        Raises:
            IntegrityError: one is not there, or not what was written; it is named.
            StorageError: a file can't be read.
        """
        for row in self._walk(log, size, first, begun=True):
            if isinstance(row, IntegrityError):
                raise row
            yield row

    def wrong(self, log: Tiles, size: int) -> Iterator[IntegrityError]:
        """What is wrong with the history of a log of `size` leaves, file by file. Leaves from
        before there was a history are in none.

        Raises:
            StorageError: a file can't be read.
        """
        for row in self._walk(log, size, 0, begun=False):
            if isinstance(row, IntegrityError):
                yield row

    def _walk(
        self, log: Tiles, size: int, first: int, *, begun: bool
    ) -> Iterator[Committed | IntegrityError]:
        """The entries of the leaves from `first` on, in order, each checked, and between them what
        is wrong. `begun`: there is a history of `first` already. A gap is told once, with what is
        wrong with the file that should have it.
        """
        there, told = dict[int, Committed | None](), -1  # the group in which a gap was told
        for group in range(max(0, first - PORTION) // WIDTH, -(-size // WIDTH)):
            name = name_of(group * WIDTH)
            runs, wrong = self._runs(name)
            for run in runs:
                if group >= first // WIDTH or run.first + run.count > first:
                    try:
                        there |= self._opened(run)
                    except (InvalidTag, ValueError, TypeError):
                        there |= dict.fromkeys(range(run.first, run.first + run.count))
                        what = f"is not what was written at leaf {run.first}"
                        wrong = wrong or _damaged(name, what)
            if wrong is not None:
                told = group
                yield wrong
            rows = list[Committed]()
            for leaf in range(max(first, group * WIDTH), min(size, (group + 1) * WIDTH)):
                if leaf in there:
                    begun = True
                    if told != group:
                        told = -1
                    if (row := there.pop(leaf)) is not None:
                        rows.append(row)
                elif begun and told < 0:
                    told = group
                    yield _damaged(name, f"does not have leaf {leaf}")
            yield from _committed_to(rows, log, group)

    def _opened(self, run: _Run) -> dict[int, Committed]:
        """The entries of a run, by their leaves.

        Raises:
            InvalidTag, ValueError, TypeError: it is not what was written.
        """
        nonce, rest = run.sealed[:_NONCE_BYTES], run.sealed[_NONCE_BYTES:]
        plain = AESGCM(self._secret()).decrypt(nonce, rest, _bound(run))
        return {row.leaf: row for row in _unpacked(run, plain)}

    def _runs(self, name: str) -> tuple[list[_Run], IntegrityError | None]:
        """The runs of a file, up to where it is not what was written, and that."""
        content, at, runs = self._folder.read(name) or b"", 0, list[_Run]()
        while at < len(content):
            alone = content[at] < 128  # of the head's first bit
            head = _HEAD_ALONE if alone else _HEAD
            if at + head.size > len(content):
                return runs, _damaged(name, "ends in the middle")
            first, *_, length = fields = head.unpack_from(content, at)
            at += head.size
            count = 1 if alone else fields[1]
            run = _Run(first & ~_RUN, count, content[at : at + length], alone)
            at += length
            if at > len(content) or name_of(run.first) != name or not 0 < run.count <= PORTION:
                return runs, _damaged(name, "is not what was written")
            runs.append(run)
        return runs, None


def _committed_to(
    rows: Sequence[Committed], log: Tiles, group: int
) -> Iterator[Committed | IntegrityError]:
    """Those that are what their leaves, which are in one bundle, commit to; what is wrong with the
    first of the others.
    """
    try:
        leaves = log.entries(group) if rows else []
    except IntegrityError as error:
        yield error
        return
    told = False
    for row in rows:
        if _commits(leaves[row.leaf % WIDTH], row):
            yield row
        elif not told:
            told = True
            what = f"has another entry than the log at leaf {row.leaf}"
            yield _damaged(name_of(row.leaf), what)


def _commits(entry: bytes, row: Committed) -> bool:
    try:
        return entry_of(row) == entry
    except (ValueError, TypeError, AssertionError):  # who sealed it has the keys, and it is none
        return False


def name_of(leaf: int) -> str:
    """The file that has a leaf's entry."""
    above, below = divmod(leaf // WIDTH, 256)
    return f"{FOLDER}{above:06x}/{below:02x}"


def _framed(run: _Run) -> bytes:
    if run.alone:
        return _HEAD_ALONE.pack(run.first, len(run.sealed)) + run.sealed
    return _HEAD.pack(_RUN | run.first, run.count, len(run.sealed)) + run.sealed


def _packed(rows: Sequence[Committed]) -> bytes:
    # By columns: it takes half the time.
    *said, _, _, salts, digests, _ = zip(*rows, strict=True)
    written_digests = [None if one is None else one.hex() for one in digests]
    return b"".join(salts) + orjson.dumps((*said, written_digests))


def _unpacked(run: _Run, plain: bytes) -> Iterator[Committed]:
    if run.alone:
        *said, salt, digest = orjson.loads(plain)
        yield _entry(run.first, bytes.fromhex(salt), digest, (*said,))
        return
    salts = plain[: run.count * SALT_BYTES]
    columns = orjson.loads(plain[len(salts) :])
    entries = [*zip(*columns, strict=True)]
    if len(entries) != run.count:
        raise ValueError("a run has not as many entries as leaves")
    for place, (*said, digest) in enumerate(entries):
        salt = salts[place * SALT_BYTES : (place + 1) * SALT_BYTES]
        yield _entry(run.first + place, salt, digest, (*said,))


def _entry(leaf: int, salt: bytes, digest: str | None, said: _Said) -> Committed:
    number, at, kind, subject, body, whose = said
    when = written(datetime.fromisoformat(at))
    of_hidden = None if digest is None else bytes.fromhex(digest)
    return Committed(number, when, kind, subject, body, whose, None, leaf, salt, of_hidden)


def _bound(run: _Run) -> bytes:
    if run.alone:
        return b"bailee/history/1\x00" + run.first.to_bytes(8, "big")
    return b"bailee/history/2\x00" + run.first.to_bytes(8, "big") + run.count.to_bytes(4, "big")


def _damaged(name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"ledger/{name} {what}.",
        hint="take another copy of ledger/; the one of the home as it was last is best",
    )
