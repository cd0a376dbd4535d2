"""The sequencer: gives each committed entry of the audit record its leaf, and signs the tree.

Rules kept here:

* A leaf's index is given here, by one sequencer, and is never the entry's number: those have gaps,
  and a database may commit them out of their order.
* Four steps, each durable before the next: entries get their leaves, in one transaction; tiles,
  entry bundles and the `history` are written; the checkpoint over them is signed and written;
  partial tiles that are full now are removed. Each is made from what those before it left, so
  whoever comes after a crash goes on, and comes to the same tree.
* The tree only grows. What a checkpoint has never gets another content: leaves that the database
  does not know, because an older copy of it was accepted, stay as they are, and the next entries
  come after them. Where none was accepted, nothing is signed.

On SQLite who writes holds the one lock, so what is committed later has higher numbers, and entries
without a leaf are those above the last that has one. A database with several writers at once needs
an advisory lock for the sequencer, and another way to find them.

Rows: P4.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, bindparam, func, select

from bailee.db.audit import UNSEALED, audit, audit_leaves
from bailee.db.engine import DbRow, fetched, reading, storage_errors
from bailee.db.portable import AS_WRITTEN, driver_sql, is_sqlite
from bailee.errors import IntegrityError
from bailee.ledger.folder import CHECKPOINT, WITNESSED, Folder
from bailee.ledger.ledger import Sealing, bound
from bailee.ledger.payload import SALT_BYTES, commitment, digest_of, payload
from bailee.ledger.payload import written as written_moment
from bailee.ledger.signing import signed, trusting
from bailee.ledger.tlog import checkpoints, notes, tree
from bailee.ledger.tlog.notes import Key, Note, Signer
from bailee.ledger.tlog.tiles import WIDTH, Tiles, bundled, written
from bailee.ledger.tlog.tree import Frontier

_WHAT: Final = "the audit record's tree"
PORTION: Final = 8192
"""So many leaves are given at once, at most."""
_WHOSE: Final = 5  # of what `_WAITING` gives of an entry
UNREADABLE: Final = "audit.unreadable"
"""The kind of what stands for an entry that can't be read any more when it gets its leaf: a check
names the entry, since that is not what lies in the record, and whoever restores is refused, since
nobody knows what it said."""
_NEVER: Final = written_moment(datetime(1970, 1, 1, tzinfo=UTC))
ACCEPTED: Final = ("home.older_accepted", "data")
"""Kind and subject of the entry that says that an older copy of the data holds."""

# Built once: to build a statement costs several times what it takes to run it.
_LAST: Final = select(
    func.coalesce(func.max(audit_leaves.c.leaf), -1),
    func.coalesce(func.max(audit_leaves.c.number), 0),
)
_HOW_MANY_WAIT: Final = select(func.count()).where(
    audit.c.number > select(func.coalesce(func.max(audit_leaves.c.number), 0)).scalar_subquery()
)
# By the driver itself, and the moment as a payload has it: what is made of a row here costs more
# than to read it.
_COLUMNS: Final = f"number, {AS_WRITTEN}, kind, subject, body, whose, sealed"
_WAITING: Final = f"SELECT {_COLUMNS} FROM audit WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608
_LEFT: Final = (
    f"SELECT {_COLUMNS}, leaf, salt, digest, sealed_salt "  # noqa: S608 - names of ours
    "FROM audit JOIN audit_leaves USING (number) WHERE leaf >= ? ORDER BY leaf LIMIT ?"
)
# So too, and all at once: to bind values row by row costs more than to insert them. A number that
# is null has a row of its own.
_INSERT_ALL: Final = (
    "INSERT INTO audit_leaves (leaf, number, salt) "
    "SELECT ?1 + key, value, substr(?2, 1 + ?3 * key, ?3) FROM json_each(?4) "
    "WHERE value IS NOT NULL"
)
_INSERT: Final = (
    "INSERT INTO audit_leaves (leaf, number, salt, digest, sealed_salt) VALUES (?, ?, ?, ?, ?)"
)
LEAVES: Final = (
    select(audit, *(one for one in audit_leaves.c if one.name != "number"))
    .join(audit_leaves, audit_leaves.c.number == audit.c.number)
    .where(audit_leaves.c.leaf >= bindparam("first"))
    .order_by(audit_leaves.c.leaf)
    .limit(bindparam("most"))
)
"""Entries and their leaves, `most` of them from the leaf `first` on."""


class Committed(NamedTuple):
    """An entry as it lies in the database, and its leaf, once it has one. `when`: its moment, as
    `payload.written` gives it.
    """

    number: int
    when: str
    kind: str
    subject: str
    body: str
    whose: str | None
    sealed: bytes | None
    leaf: int = -1
    salt: bytes = b""
    digest: bytes | None = None
    sealed_salt: bytes | None = None

    @property
    def at(self) -> datetime:
        """Its moment."""
        return datetime.fromisoformat(self.when)


# As `_make` does, which takes twice as long.
_made: Final[Callable[[Iterable[object]], Committed]] = partial(tuple.__new__, Committed)


def committed(row: DbRow) -> Committed:
    """An entry and its leaf, from what `LEAVES` gives of them."""
    return Committed(
        row.number,
        written_moment(row.at),
        row.kind,
        row.subject,
        row.body,
        row.whose,
        row.sealed,
        row.leaf,
        row.salt,
        row.digest,
        row.sealed_salt,
    )


class Sequencer:
    """Grows the tree of one home. A server's thread calls it each second, a command at its end, and
    who asks for a proof; on any thread, one at a time. It is the only one that writes the ledger's
    folder, and never changes an entry.
    """

    def __init__(
        self,
        engine: Engine,
        sealing: Sealing,
        folder: Folder,
        signers: Callable[[], Sequence[Signer]],
        *,
        beside: Callable[[Sequence[Committed]], Mapping[str, bytes]] = lambda _: {},
    ) -> None:
        """`engine`: the data database. `signers`, of one name, are asked for when needed. `beside`:
        what is to lie beside the tiles of these leaves, by name.
        """
        self._engine = engine
        self._sealing = sealing
        self.folder = folder
        """The tree's files, to be read."""
        self._signers = signers
        self._beside = beside
        self._one = threading.Lock()  # while the tree grows, or a checkpoint is published
        self._edge: Frontier | None = None  # the checkpoint's; None: to be read from the files
        self._new = threading.Event()
        self.signed: Final = threading.Event()
        """Set when there is a new checkpoint. Who has it cosigned clears it."""

    def noted(self) -> None:
        """The audit record has a new entry, or will when its transaction is committed."""
        self._new.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a new entry, so long at most; whether there is one."""
        return self._new.wait(seconds)

    @property
    def signer(self) -> Signer:
        """Who signs what else this home says in a note: with Ed25519, since ML-DSA-44 signs trees
        alone.
        """
        return self._signers()[0]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The public keys under which the tree is signed, that of Ed25519 first."""
        return tuple(one.key for one in self._signers())

    def sizes(self) -> tuple[int, int]:
        """How many leaves the checkpoint has, and how many entries have no leaf yet.

        Raises:
            IntegrityError: the checkpoint is none.
            StorageError: it, or the record, can't be read.
        """
        data = self.folder.read(CHECKPOINT)
        size = 0 if data is None else checkpoints.read(notes.read(data).text).size
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return size, connection.execute(_HOW_MANY_WAIT).scalar_one()

    def finish(self) -> None:
        """Take up what this process has appended, if anything."""
        if self._new.is_set():
            self.run()

    def run(self) -> int:
        """Take up every entry that is committed; the size of the tree, whose checkpoint has them.

        Raises:
            IntegrityError: the files are not what was written, or the database is older than they
                are; nothing was signed.
            StorageError: a store can't be read or written; call again.
        """
        with self._one:
            self._new.clear()
            try:
                self._edge = self._edge or self._read_edge()
                while self._publish(self._left()) == PORTION:
                    pass
                while self._publish(self._assigned(self._edge.size)) == PORTION:
                    pass
            except BaseException:
                self._edge = None
                self._new.set()
                raise
            return self._edge.size

    def cosigned(self, note: Note, *, quorum: bool) -> None:
        """Publish a checkpoint of this log with its cosignatures, unless there is a later one by
        now. `quorum`: they are enough; then it is kept as the latest of which that is true.

        Raises:
            StorageError: it can't be read or written; call again.
        """
        with self._one:
            files = {WITNESSED: note.data} if quorum else {}
            latest = self.folder.read(CHECKPOINT)
            if latest is not None and notes.read(latest).text == note.text:
                files[CHECKPOINT] = note.data
            self.folder.write(files)

    # -- the steps -------------------------------------------------------------------------------

    def _left(self) -> Sequence[Committed]:
        """A portion of the leaves that were given, and that the checkpoint does not have."""
        assert self._edge is not None
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [*map(_made, fetched(connection, _LEFT, (self._edge.size, PORTION)))]

    def _assigned(self, published: int) -> Sequence[Committed]:
        """Give entries that have none their leaves, a portion; these."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            last, number = connection.execute(_LAST).one()
            found = fetched(connection, _WAITING, (number, PORTION))
            whose = [row[_WHOSE] for row in found]
            rows = found[: whose.index(UNSEALED)] if UNSEALED in whose else found
            first = last + 1
            if first < published:
                if not any((row[2], row[3]) == ACCEPTED for row in rows):
                    raise IntegrityError(
                        f"the audit record has {first} leaves, and its checkpoint {published}: "
                        "data/ is older than ledger/.",
                        hint="put back the data that was there last; nothing was signed",
                    )
                first = published
            salts = os.urandom(SALT_BYTES * len(rows))
            places = range(0, len(salts), SALT_BYTES)
            made = [
                _made((*row, leaf, salts[at : at + SALT_BYTES], None, None))
                for leaf, at, row in zip(count(first), places, rows, strict=False)
            ]
            for place in [place for place, one in enumerate(made) if one.sealed is not None]:
                made[place] = self._with_digest(made[place])
            if made:
                _insert(connection, first, salts, made)
        return made

    def _with_digest(self, row: Committed) -> Committed:
        """An entry and its leaf, with the commitment to what is sealed of it, if that is there."""
        if row.whose is None or (hidden := self._hidden(row)) is None:
            return row
        own = os.urandom(SALT_BYTES)
        _, sealed_salt = self._sealing.seal(row.whose, own, salt_bound(row.kind, row.subject))
        return row._replace(digest=digest_of(own, hidden), sealed_salt=sealed_salt)

    def _hidden(self, row: Committed) -> dict[str, str] | None:
        """What is sealed of an entry; None: nothing is, or it can't be read any more."""
        if row.sealed is None or row.whose is None:
            return None
        try:
            plain = self._sealing.open(row.whose, row.sealed, bound(row.kind, row.subject))
        except IntegrityError:
            return None
        return None if plain is None else orjson.loads(plain)

    def _publish(self, rows: Sequence[Committed]) -> int:
        """Write leaves that the checkpoint does not have, and sign it with them; how many."""
        assert self._edge is not None
        before = self._edge
        if [row.leaf for row in rows] != [*range(before.size, before.size + len(rows))]:
            raise IntegrityError(
                f"the audit record misses leaves from {before.size} on.",
                hint="put back the data that was there last; nothing was signed",
            )
        if rows:
            try:
                entries = _entries_of(rows)
            except (ValueError, TypeError):  # one of them is no entry any more
                rows = [_readable(row) for row in rows]
                entries = _entries_of(rows)
            after, came = before.grown_by(tree.leaf_hashes(entries))
            made = {
                **dict(bundled(before.size, entries, self.folder.fetch)),
                **dict(written(before.size, came, self.folder.fetch)),
            }
            tiles = {tile.path: content for tile, content in made.items()}
            self.folder.write({**self._beside(rows), **tiles})
            self.folder.write({CHECKPOINT: signed(self._signers(), after)})
            self.signed.set()
            self._edge = after
            for tile in made:
                if tile.width == WIDTH:
                    self.folder.remove_all(tile.partials)
        return len(rows)

    def _read_edge(self) -> Frontier:
        """The edge of what is signed, verified; by now with each of our keys."""
        data = self.folder.read(CHECKPOINT)
        if data is None:
            return Frontier()
        note, signers = notes.read(data), self._signers()
        trusted = trusting([one.key for one in signers]).opened(note)
        last = trusted.checkpoint
        if new := [one for one in signers if one.key not in note.verified([one.key])]:
            added = notes.signed(note.text, new, 0).signatures
            self.folder.write({CHECKPOINT: Note(note.text, (*note.signatures, *added)).data})
        tiles = Tiles(last.size, last.root_hash, self.folder.fetch)
        if last.size % WIDTH:
            tiles.entries(last.size // WIDTH)
        return tree.frontier(last.size, tiles.hashes)


def _readable(row: Committed) -> Committed:
    """An entry; what stands for it if it can't be read. Its leaf stays."""
    try:
        payload_of(row)
    except (ValueError, TypeError):
        return Committed(row.number, _NEVER, UNREADABLE, "", "{}", None, None, row.leaf, row.salt)
    return row


def _insert(connection: Connection, first: int, salts: bytes, made: Sequence[Committed]) -> None:
    """Put down leaves from `first` on, whose salts stand behind each other in `salts`."""
    alone = made
    if is_sqlite(connection):
        driver = connection.connection.cursor()
        numbers = [one.number if one.digest is None else None for one in made]
        driver.execute(_INSERT_ALL, (first, salts, SALT_BYTES, orjson.dumps(numbers).decode()))
        alone = [one for one in made if one.digest is not None]
    if alone:
        connection.exec_driver_sql(
            driver_sql(connection, _INSERT),
            [(one.leaf, one.number, one.salt, one.digest, one.sealed_salt) for one in alone],
        )


def entry_of(row: Committed) -> bytes:
    """The commitment that is a leaf's content, from an entry and its leaf."""
    return commitment(row.salt, payload_of(row))


def _entries_of(rows: Sequence[Committed]) -> list[bytes]:
    """The same of many, in less time."""
    return [
        sha256(salt + payload(when, kind, subject, orjson.loads(body), digest)).digest()
        for _, when, kind, subject, body, _, _, _, salt, digest, _ in rows
    ]


def payload_of(row: Committed) -> bytes:
    """What a leaf commits to, from an entry and its leaf."""
    return payload(row.when, row.kind, row.subject, orjson.loads(row.body), row.digest)


def salt_bound(kind: str, subject: str) -> bytes:
    """What the salt of sealed particulars is bound to."""
    return bound(kind, subject) + b"\x00salt"
