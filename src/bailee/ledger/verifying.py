"""Checking a log from its files, and the entries that it commits to: what is wrong with what.

It takes the log's public keys and nothing of its operator's: a copy of the files will do, here or
anywhere. Each file is named that is not what was signed, and each entry that is not the one that
became a leaf. Reads, and changes nothing.

* Everything is measured by the checkpoint. Where that may not be believed, nothing else is
  looked at: nothing else could be believed.
* With a checkpoint that somebody remembers, the log must be that one with more at its end: a log
  that became smaller was rolled back, one that does not begin with it was forked.
* Where the policy asks for witnesses, there must be a checkpoint that they have cosigned, and the
  log must be that one with more at its end: what came since they have not seen.
* Files that lead beyond the checkpoint were written before a crash, and say nothing.

Rows: P4.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson
from sqlalchemy import Engine, bindparam, create_engine, exists, func, select
from sqlalchemy.exc import DBAPIError

from bailee.damage import Damaged
from bailee.db.audit import audit, audit_leaves
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError, IntegrityError
from bailee.ledger.folder import BEING_WRITTEN, CHECKPOINT, WITNESSED, LogFiles
from bailee.ledger.history import FOLDER as HISTORY
from bailee.ledger.history import History
from bailee.ledger.ledger import Sealing, bound
from bailee.ledger.payload import digest_of
from bailee.ledger.sequencing import ACCEPTED, LEAVES, Committed, committed, entry_of, salt_bound
from bailee.ledger.signing import opened, trusting
from bailee.ledger.tlog import notes, tiles, tree
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.tiles import ENTRIES, HEIGHT, WIDTH, Tile, Tiles
from bailee.ledger.tlog.tree import HASH_SIZE, TreeNode
from bailee.ledger.tlog.trust import NONE, Trust

_PORTION: Final = 4096
_WITHOUT: Final = select(audit.c.number).where(
    ~exists().where(audit_leaves.c.number == audit.c.number)
)
_LAST: Final = select(func.coalesce(func.max(audit_leaves.c.number), 0)).scalar_subquery()
_LEFT_OUT: Final = _WITHOUT.where(audit.c.number < _LAST).limit(20)
_WAITING: Final = select(
    select(func.count()).where(audit.c.number > _LAST).scalar_subquery()
    + select(func.count()).where(audit_leaves.c.leaf >= bindparam("size")).scalar_subquery()
)
_ACCEPTED: Final = (
    select(audit.c.number)
    .join(audit_leaves, audit_leaves.c.number == audit.c.number)
    .where(audit.c.kind == ACCEPTED[0], audit.c.subject == ACCEPTED[1])
    .where(audit_leaves.c.leaf >= bindparam("end"))
)


@dataclass(frozen=True, slots=True)
class CheckedLog:
    """What was found. `size`, `root` (hexadecimal): the checkpoint's, None where it is not good.
    `witnessed`: how many leaves the policy's witnesses have cosigned, None: it asks for none.
    `files`, `leaves`, `entries`: how many of each were looked at; entries only where the database
    is there. `waiting`: entries that no checkpoint has yet. `erased`: leaves of which particulars
    are gone, as they should be. `lost`: leaves whose entries an older copy of the data, which was
    accepted, does not have.
    """

    size: int | None
    root: str | None
    witnessed: int | None
    files: int
    leaves: int
    entries: int
    waiting: int
    erased: int
    lost: int
    damaged: list[Damaged]


class Check:
    """One check of one log. Made for it, and used by one thread."""

    def __init__(
        self,
        files: LogFiles,
        trust: Trust,
        remembered: bytes | Sequence[bytes] | None = None,
        engine: Engine | None = None,
        sealing: Sealing | None = None,
        *,
        history: History | None = None,
    ) -> None:
        """`trust`: whose log it is. `remembered`: an earlier checkpoint of it, or several.
        `engine`: the database with the entries, if it is there; `sealing`: whoever can open what
        is sealed of them. `history`: the log's, with whoever can open it.
        """
        self._files = files
        self._trust = trust
        some = [remembered] if isinstance(remembered, bytes) else remembered
        self._remembered = [] if some is None else [*some]
        self._engine = engine
        self._sealing = sealing
        self._history = history
        self._damaged: dict[Damaged, None] = {}
        self._believed: list[int] = []
        self._looked_at = self._leaves = self._entries = self._erased = self._lost = 0

    def run(self) -> CheckedLog:
        """Check all of it.

        Raises:
            StorageError: a file or the database can't be read at all.
            IntegrityError: what is remembered is no checkpoint that the log signed.
        """
        own = trusting(self._trust.logs)
        before = [opened(one, own) for one in self._remembered]
        # In this order: the latest may become later in between, and never smaller.
        witnessed, signed = self._checkpoint(WITNESSED), self._checkpoint(CHECKPOINT)
        if not self._damaged and signed is None and (before or witnessed is not None):
            self._bad(CHECKPOINT, "there is none, and there was one: the log was rolled back.")
        seen = None if self._trust.quorum == NONE or signed is None else self._seen()
        log = None if signed is None else self._log(signed)
        waiting = 0
        if signed is not None and log is not None:
            for one in (*before, witnessed):
                self._compare(one, signed, log)
            self._walk(log, signed.size)
            if self._history is not None:
                for error in self._history.wrong(log, signed.size):
                    self._bad(HISTORY, error.message)
        if self._engine is not None and (log is not None or not self._damaged):
            with storage_errors("the audit record"):
                waiting = self._rows(self._engine, log, 0 if signed is None else signed.size)
        return CheckedLog(
            size=None if signed is None else signed.size,
            root=None if signed is None else signed.root_hash.hex(),
            witnessed=seen,
            files=self._looked_at,
            leaves=self._leaves,
            entries=self._entries,
            waiting=waiting,
            erased=self._erased,
            lost=self._lost,
            damaged=sorted(self._damaged),
        )

    # -- the files -------------------------------------------------------------------------------

    def _bad(self, where: str, what: str) -> None:
        self._damaged[Damaged(where, what)] = None

    def _checkpoint(self, name: str) -> Checkpoint | None:
        data = self._files.read(name)
        if data is None:
            return None
        self._looked_at += 1
        try:
            note = notes.read(data)
            checkpoint = trusting(self._trust.logs).opened(note).checkpoint
        except IntegrityError as error:
            self._bad(name, error.message)
            return None
        if self._trust.believes(note):
            self._believed.append(checkpoint.size)
        return checkpoint

    def _seen(self) -> int | None:
        """How many leaves of the log the witnesses have cosigned, as the policy asks."""
        if not self._believed and not self._damaged:
            self._bad(CHECKPOINT, "it is not cosigned by the witnesses that must have seen it.")
        return max(self._believed, default=None)

    def _log(self, signed: Checkpoint) -> Tiles | None:
        """The log's hashes. Where a tile at its right edge is not what it was, each of those is
        taken from what lies under it, so that the others can be told from the one.
        """
        for fetch in (self._files.fetch, self._mended):
            log = Tiles(signed.size, signed.root_hash, fetch)
            try:
                log.hashes([])
            except IntegrityError as error:
                said = error.message
            else:
                return log
        self._bad(CHECKPOINT, said)
        return None

    def _mended(self, wanted: Sequence[Tile]) -> list[bytes]:
        return [
            self._files.fetch([tile])[0]
            if tile.width == WIDTH or tile.level == ENTRIES
            else b"".join(self._under(tile))
            for tile in wanted
        ]

    def _under(self, tile: Tile) -> list[bytes]:
        """The hashes of a tile, made of what lies under it."""
        if tile.level == 0:
            (bundle,) = self._files.fetch([Tile(ENTRIES, tile.number, tile.width)])
            return [tree.leaf_hash(entry) for entry in tiles.unbundled(bundle, tile.width)]
        below = [Tile(tile.level - 1, tile.number * WIDTH + place) for place in range(tile.width)]
        return [tree.root(_hashes(content)) for content in self._files.fetch(below)]

    def _compare(self, before: Checkpoint | None, signed: Checkpoint, log: Tiles) -> None:
        """That the log is the one that is remembered, with more at its end."""
        if before is None:
            return
        if before.size > signed.size:
            said = f"the log was rolled back: it has {signed.size} leaves, and had {before.size}."
            self._bad(CHECKPOINT, said)
            return
        try:
            proof = tree.consistency(before.size, signed.size, log.hashes)
            tree.verify_consistency(
                before.size, signed.size, proof, before.root_hash, signed.root_hash
            )
        except IntegrityError as error:
            said = f"the log was forked: it does not begin with the {before.size} leaves it had"
            self._bad(CHECKPOINT, f"{said} ({error.message})")

    def _walk(self, log: Tiles, size: int) -> None:
        """Every file of the log: those that must be there, and whatever else is."""
        levels = range(ENTRIES, -(-size.bit_length() // HEIGHT))
        every = [tile for level in levels for tile in tiles.of(level, size)]
        every.sort(key=lambda tile: tile.number << HEIGHT * max(tile.level, 0))  # beside each other
        expected = {tile.path for tile in every}
        for tile in every:
            self._look(log, tile)
            self._leaves += tile.width if tile.level == ENTRIES else 0
        for name in self._files.names():
            if name in expected or name in (CHECKPOINT, WITNESSED):
                continue
            if name.startswith((HISTORY, BEING_WRITTEN)):
                continue
            try:
                tile = tiles.at(name)
            except InputError:
                self._bad(name, "it is no file of a log.")
                continue
            if tile.number * WIDTH + tile.width <= size >> HEIGHT * max(tile.level, 0):
                self._look(log, tile)

    def _look(self, log: Tiles, tile: Tile) -> None:
        """Whether a tile or bundle is there as the checkpoint has it."""
        self._looked_at += 1
        first = tile.number * WIDTH
        try:
            if tile.level == ENTRIES:
                entries = log.entries(tile.number)[: tile.width]
                content = b"".join(len(one).to_bytes(2, "big") + one for one in entries)
            else:
                nodes = [
                    TreeNode(HEIGHT * tile.level, first + place) for place in range(tile.width)
                ]
                content = b"".join(log.hashes(nodes))
            if self._files.fetch([tile]) != [content]:
                self._bad(tile.path, "it is not what was signed.")
        except IntegrityError as error:
            where, _, what = error.message.partition(" ")
            self._bad(where.removesuffix(":"), f"it {what}" if where[-1:] != ":" else what)

    # -- the entries -----------------------------------------------------------------------------

    def _rows(self, engine: Engine, log: Tiles | None, size: int) -> int:
        """Every entry that has a leaf; how many wait for a checkpoint that has them."""
        leaf, most = 0, _PORTION
        while True:
            try:
                with reading(engine) as connection:
                    asked = {"first": leaf, "most": most}
                    rows = [committed(row) for row in connection.execute(LEAVES, asked)]
            except (ValueError, TypeError, DBAPIError) as error:
                if isinstance(error, DBAPIError) and "decode" not in str(error.orig):
                    raise
                if most == 1:
                    self._bad(f"audit entry of leaf {leaf}", "it can't be read.")
                    leaf += 1
                most = 1
                continue
            if not rows:
                break
            for row in rows:
                self._gap(engine, leaf, row.leaf)
                if log is not None and row.leaf < size:
                    self._entry(row, log)
                leaf = row.leaf + 1
            most = _PORTION if leaf % _PORTION == 0 else most
        self._gap(engine, leaf, size)
        with reading(engine) as connection:
            for number in connection.execute(_LEFT_OUT).scalars():
                self._bad(f"audit entry {number}", "it is no leaf, and later ones are.")
            return int(connection.execute(_WAITING, {"size": size}).scalar_one())

    def _gap(self, engine: Engine, first: int, end: int) -> None:
        """Leaves from `first` up to `end` have no entry here."""
        if first >= end:
            return
        with reading(engine) as connection:
            accepted = connection.execute(_ACCEPTED, {"end": end}).first()
        if accepted is None:
            self._bad(f"audit entries of leaves {first} to {end - 1}", "they are not there.")
        else:
            self._lost += end - first

    def _entry(self, row: Committed, log: Tiles) -> None:
        """Whether an entry is the one that its leaf commits to."""
        self._entries += 1
        named = f"audit entry {row.number}"
        try:
            expected = log.entries(row.leaf // WIDTH)[row.leaf % WIDTH]
        except IntegrityError:
            return  # the file is named already
        try:
            same = entry_of(row) == expected
        except (ValueError, TypeError, AssertionError):
            same = False
        if not same:
            self._bad(named, f"it is not what leaf {row.leaf} commits to.")
        elif row.digest is not None and not self._discloses(row):
            self._bad(named, f"its particulars are not what leaf {row.leaf} commits to.")

    def _discloses(self, row: Committed) -> bool:
        """Whether what is sealed of an entry is what was committed to, as far as it can be read."""
        if row.sealed is None or row.sealed_salt is None:
            self._erased += 1
            return True
        if self._sealing is None or row.whose is None:
            return True
        try:
            plain = self._sealing.open(row.whose, row.sealed, bound(row.kind, row.subject))
            bound_to = salt_bound(row.kind, row.subject)
            salt = self._sealing.open(row.whose, row.sealed_salt, bound_to)
        except IntegrityError:
            return False
        if plain is None or salt is None:
            self._erased += 1
            return True
        return digest_of(salt, orjson.loads(plain)) == row.digest


@contextmanager
def copied(database: Path) -> Iterator[Engine]:
    """The database of a copied home, opened to be read. Nothing beside it is written, unless its
    write-ahead log was copied too.
    """
    log = database.with_name(f"{database.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    uri = f"file:{quote(str(database.absolute()))}?{how}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True))
    try:
        yield engine
    finally:
        engine.dispose()


def _hashes(content: bytes) -> list[bytes]:
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]
