"""The spool's files as rows of the database on PostgreSQL: what a client saw complete outlives the
machine that it saw it from.

    bailee_spool          a file: in which slot it lies, and whether all of it is in the index
    bailee_spool_0 ...    slots: of each file a row for every group, at its place in the file
    bailee_spool_aside    bytes of files that do not open

A group is one row, or of a large one several in one transaction, put there over a link (`db.links`)
of its lane's. Rules kept here:

* A group is known by its file and its place. So it may be put there again where the answer to the
  commit was lost; and that commit waits for a synchronous standby as the first one did.
* Rows are never deleted one by one. A slot is emptied as a whole, once none of its files is left;
  files are begun in one slot after the other.
* What is large goes into the bucket and is durable there before its row says so. While the bucket
  is away, it goes into rows. What it was told too late is removed by the next start.
* The tables are of the database, not of the home: they are in no line of migrations, and in no
  backup, as the spool's files are in none.

What lies there is sealed under its file's key, which is in the other database and dies with the
file: rows, pages and the write-ahead log have nothing but that (`db.engine.overwrites`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, text

from bailee.db.engine import reading, storage_errors
from bailee.db.links import Link, end_links
from bailee.errors import StorageError
from bailee.vault.objects import Objects
from bailee.vault.spool_store import Aside, SpoolFile

SLOTS: Final = 16
_FILES: Final = 8  # that are begun in a slot, before it is the next one's turn
_ROW: Final = 1 << 20  # bytes of a row, at most; a small group is one row whatever it has
_GAP: Final = 1 << 30  # bytes between two groups: what a damaged row says may be anything
_AGAIN: Final = 60.0  # seconds in which a bucket that failed is not asked again
_WHAT: Final = "the spool"

_MADE: Final = (
    "CREATE TABLE bailee_spool (file text PRIMARY KEY, slot integer NOT NULL, "
    "sealed boolean NOT NULL DEFAULT false, closed boolean NOT NULL DEFAULT false)",
    "CREATE TABLE bailee_spool_aside (file text, at bigint, content bytea NOT NULL, "
    "PRIMARY KEY (file, at))",
    *(
        f"CREATE TABLE bailee_spool_{slot} (file text, at bigint, length integer NOT NULL, "
        "content bytea, PRIMARY KEY (file, at))"
        for slot in range(SLOTS)
    ),
    # What is sealed can't be compressed, and the trial costs.
    *(
        f"ALTER TABLE bailee_spool_{slot} ALTER content SET STORAGE EXTERNAL"
        for slot in range(SLOTS)
    ),
)
_PUT: Final = tuple(
    f"INSERT INTO bailee_spool_{slot} AS s VALUES (%s, %s, %s, %b) "  # noqa: S608 - a number
    "ON CONFLICT (file, at) DO UPDATE SET length = excluded.length"
    for slot in range(SLOTS)
)
_GONE: Final = tuple(
    f"DELETE FROM bailee_spool_{slot} WHERE file = %s AND at >= %s"  # noqa: S608
    for slot in range(SLOTS)
)
_ALL: Final = tuple(
    text(
        f"SELECT at, length, content FROM bailee_spool_{slot} "  # noqa: S608
        "WHERE file = :file ORDER BY at"
    )
    for slot in range(SLOTS)
)
_SOME: Final = tuple(
    text(
        "SELECT at, length, "  # noqa: S608
        "substring(content FROM (greatest(:start - at, 0) + 1)::int "
        "FOR (least(:end, at + length) - greatest(:start, at))::int) AS content, "
        f"content IS NULL AS elsewhere FROM bailee_spool_{slot} "
        "WHERE file = :file AND at < :end AND at + length > :start ORDER BY at"
    )
    for slot in range(SLOTS)
)
_SIZE: Final = tuple(
    text(
        f"SELECT coalesce(sum(length), 0) FROM bailee_spool_{slot} "  # noqa: S608
        "WHERE file = :file"
    )
    for slot in range(SLOTS)
)
_IN_BUCKET: Final = tuple(
    text(f"SELECT at FROM bailee_spool_{slot} WHERE file = :file AND content IS NULL")  # noqa: S608
    for slot in range(SLOTS)
)
_ALL_IN_BUCKET: Final = text(
    " UNION ALL ".join(
        f"SELECT file, at FROM bailee_spool_{slot} JOIN bailee_spool USING (file) "  # noqa: S608
        "WHERE content IS NULL"
        for slot in range(SLOTS)
    )
)
_NAMES: Final = text("SELECT file FROM bailee_spool WHERE sealed = :sealed")
_SLOT: Final = text("SELECT slot FROM bailee_spool WHERE file = :file")
_TAKEN: Final = text("SELECT slot, count(*) AS files FROM bailee_spool GROUP BY slot")
_BEGUN: Final = text("INSERT INTO bailee_spool (file, slot) VALUES (:file, :slot)")
_SEALED: Final = text("UPDATE bailee_spool SET sealed = true WHERE file = :file")
_REMOVED: Final = text("DELETE FROM bailee_spool WHERE file = :file")
_ASIDE: Final = text("SELECT file, at, octet_length(content) AS size FROM bailee_spool_aside")
_PUT_ASIDE: Final = text(
    "INSERT INTO bailee_spool_aside VALUES (:file, :at, :content) "
    "ON CONFLICT (file, at) DO UPDATE SET content = excluded.content"
)
_CLOSABLE: Final = text(
    "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name = 'bailee_spool' AND column_name = 'closed'"
)
_MADE_CLOSABLE: Final = "ALTER TABLE bailee_spool ADD closed boolean NOT NULL DEFAULT false"
_OF: Final = "-of-"
_MEMBER: Final = re.compile(r"-of-([0-9a-f]{16})(?:-|$)")
_OF_MEMBERS: Final = text(
    f"SELECT file, slot, closed FROM bailee_spool WHERE file LIKE '%{_OF}%' "  # noqa: S608
    "AND NOT sealed ORDER BY file LIMIT :most"
)
_CLOSED_ALL: Final = text(
    "UPDATE bailee_spool SET closed = true WHERE NOT closed AND file LIKE :whose"
)
CLOSED: Final = "UPDATE bailee_spool SET closed = true WHERE file = ANY(%s)"
"""That nothing more is written to files: their member's statement (`Link`)."""
_FORGOTTEN: Final = text("DELETE FROM bailee_spool_aside WHERE file = :file AND at = :at")


class _Row(NamedTuple):
    """Of a file: where a row is, how many bytes, and these; None: they lie in the bucket."""

    at: int
    length: int
    content: bytes | None


class MemberFile(NamedTuple):
    """A file of a member's: which slot it lies in, and whether nothing more is written to it."""

    file: str
    slot: int
    closed: bool

    @property
    def member(self) -> int:
        """Whose it is."""
        found = _MEMBER.search(self.file)
        return int(found[1], 16) if found else 0


def is_members(file: str) -> bool:
    """Whether a spool file is a member's, and so may still be written to by another process."""
    return _MEMBER.search(file) is not None


class SpoolRows:
    """The files of one home in its database. `take` comes before all else. It owns two links, one
    for each lane; all else goes by the engine, and has its turn as everybody has.
    """

    kind = "-rows"
    quick = False

    def __init__(self, engine: Engine, objects: Objects | None = None) -> None:
        """`objects`: where in the bucket what is large goes; None: into rows."""
        self._engine = engine
        self._objects = objects
        self._links = {large: Link(engine, _WHAT) for large in (False, True)}
        self._slot = -1
        self._begun = _FILES  # files in that slot
        self._empty: set[int] = set()  # slots without rows; of whoever has the turn to write
        self._bucket_from = 0.0  # from when on the bucket is asked again
        self._late: set[str] = set()  # objects that could not be removed

    def prepare(self, connection: Connection) -> None:
        """Make the tables."""
        for statement in _MADE:
            connection.exec_driver_sql(statement)

    def take(self) -> None:
        """Have what is there from whoever had it before, who writes no more.

        Raises:
            StorageError: they can't be ended, or the database can't be reached.
        """
        end_links(self._engine, _WHAT)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if not connection.execute(_CLOSABLE).scalar():
                connection.exec_driver_sql(_MADE_CLOSABLE)
        self._remove_late()

    # -- writing ---------------------------------------------------------------------------------

    def make(self, name: str, size: int) -> SpoolFile:
        """A new file: its name, in the slot that is next."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            slot, begun = self._next_slot(connection)
            connection.execute(_BEGUN, {"file": name, "slot": slot})
            self._empty.discard(slot)
            self._slot, self._begun = slot, begun + 1
        return _FileInRows(self, name, slot, size)

    def _next_slot(self, connection: Connection) -> tuple[int, int]:
        """In which slot a file is begun, and how many have been before."""
        if self._begun < _FILES:
            return self._slot, self._begun
        taken = {row.slot: row.files for row in connection.execute(_TAKEN)}
        order = [(self._slot + step) % SLOTS for step in range(1, SLOTS + 1)]
        return min(order, key=lambda slot: taken.get(slot, 0)), 0

    def ended(self, name: str) -> None:
        """Nothing more is written to a file: whoever seals it is told by the spool."""

    def link(self, name: str) -> Link:
        """The link of a file's lane."""
        return self._links[_is_large(name)]

    def to_bucket(self, name: str, parts: Sequence[bytes]) -> bool:
        """Put what is large into the bucket; whether it is there."""
        if self._objects is None or time.monotonic() < self._bucket_from:
            return False
        try:
            self._objects.put(name, b"".join(parts))
        except StorageError:
            self._bucket_from = time.monotonic() + _AGAIN
            return False
        return True

    # -- reading ---------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The files that are not sealed away."""
        return self._named(sealed=False)

    def sealed_away(self) -> list[str]:
        """Those that are."""
        return self._named(sealed=True)

    def _named(self, *, sealed: bool) -> list[str]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(_NAMES, {"sealed": sealed}).scalars())

    def holds(self, name: str) -> bool:
        """Whether a file is there."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return _slot_of(connection, name) is not None

    def size(self, name: str) -> int:
        """How many bytes were written to it."""
        with suppress(StorageError), storage_errors(_WHAT), reading(self._engine) as connection:
            slot = _slot_of(connection, name)
            if slot is not None:
                return int(connection.execute(_SIZE[slot], {"file": name}).scalar_one())
        return 0

    def content(self, name: str) -> bytes:
        """All of a file, with zeros where a group is not."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            slot = _slot_of(connection, name)
            rows = [] if slot is None else connection.execute(_ALL[slot], {"file": name}).all()
        if slot is None:
            raise StorageError("a file of the spool is not in the database any more.")
        found = bytearray()
        for row in (_Row(*row) for row in rows):
            if not 0 <= row.at - len(found) <= _GAP:
                continue  # it says what was never written
            found += bytes(row.at - len(found))
            found += self._bytes(name, row)
        return bytes(found) or b"\0"

    def _bytes(self, name: str, row: _Row) -> bytes:
        """What a row has, or says where it is: zeros, where it is not there for good."""
        if row.content is not None:
            return row.content
        if self._objects is None:
            raise StorageError("a part of the spool is in a bucket, and objects.url is not set.")
        try:
            return self._objects.get(_object(name, row.at), 0, row.length)
        except StorageError:
            if self._objects.size(_object(name, row.at)) is None:
                return bytes(min(max(row.length, 0), _GAP))
            raise

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a file."""
        asked = {"file": name, "start": offset, "end": offset + length}
        with storage_errors(_WHAT), reading(self._engine) as connection:
            slot = _slot_of(connection, name)
            rows = [] if slot is None else connection.execute(_SOME[slot], asked).all()
        found = bytearray()
        for row in rows:
            if row.elsewhere:
                whole = self._bytes(name, _Row(row.at, row.length, None))
                found += whole[max(0, offset - row.at) : offset + length - row.at]
            else:
                found += row.content
        return bytes(found)

    # -- members' files --------------------------------------------------------------------------

    def of_members(self, most: int) -> list[MemberFile]:
        """The first `most` of the files of members that are not sealed away, oldest first."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [MemberFile(*row) for row in connection.execute(_OF_MEMBERS, {"most": most})]

    def close_all(self, member: str) -> None:
        """Note that nothing more is written to any file of a member, which is none any more."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_CLOSED_ALL, {"whose": f"%{_OF}{member}%"})

    # -- what goes -------------------------------------------------------------------------------

    def note_sealed(self, name: str) -> None:
        """In its row."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_SEALED, {"file": name})

    def remove(self, name: str) -> None:
        """Remove a file; with the last of a slot, all that is in that. The bucket is not waited
        for: what it does not remove goes later.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            slot = _slot_of(connection, name)
            if slot is not None and self._objects is not None:
                places = connection.execute(_IN_BUCKET[slot], {"file": name}).scalars()
                self._late |= {_object(name, at) for at in places}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_REMOVED, {"file": name})
            if slot is not None:
                self._empty.discard(slot)  # another process may have begun it there
        self._remove_objects()
        self._empty_slots()

    def _empty_slots(self) -> None:
        """Empty the slots of which no file is left. Who makes one waits until that is done, and so
        can't be in its way; where somebody reads there, it is done the next time.
        """
        try:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                taken = {row.slot for row in connection.execute(_TAKEN)}
                gone = {slot for slot in range(SLOTS) if slot not in taken} - self._empty
                if gone:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
                    tables = ", ".join(f"bailee_spool_{slot}" for slot in sorted(gone))
                    connection.exec_driver_sql(f"TRUNCATE {tables}")
                    self._empty |= gone
        except StorageError:
            self._empty.clear()

    def _remove_objects(self) -> None:
        if self._objects is None or time.monotonic() < self._bucket_from:
            return
        try:
            for name in list(self._late):
                self._objects.delete(name)
                self._late.discard(name)
        except StorageError:  # away: the next time
            self._bucket_from = time.monotonic() + _AGAIN

    def _remove_late(self) -> None:
        """Remove the objects that no row speaks of: who put them never said so, or they came when
        their file was gone. Nobody puts any before this is done, but members into files of theirs.
        """
        if self._objects is None:
            return
        with suppress(StorageError):
            there = {*self._objects.names()}
            with storage_errors(_WHAT), reading(self._engine) as connection:
                kept = {_object(row.file, row.at) for row in connection.execute(_ALL_IN_BUCKET)}
                files = {*connection.execute(_NAMES, {"sealed": False}).scalars()}
            self._late |= {
                name for name in there - kept if not _is_written(name.rpartition("/")[0], files)
            }
        self._remove_objects()

    def put_aside(self, name: str, offset: int, content: bytes) -> None:
        """As a row."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_PUT_ASIDE, {"file": name, "at": offset, "content": content})

    def put_aside_whole(self, name: str) -> int:
        """As a row, too."""
        content = self.content(name)
        self.put_aside(name, 0, content)
        self.remove(name)
        return len(content)

    def aside(self) -> list[Aside]:
        """Those rows."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [Aside(*row) for row in connection.execute(_ASIDE)]

    def forget_aside(self, one: Aside) -> None:
        """Remove such a row."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_FORGOTTEN, {"file": one.file, "at": one.offset})

    def close(self) -> None:
        """End the links."""
        for link in self._links.values():
            link.close()


class _FileInRows:
    """A file that groups are put into."""

    def __init__(self, rows: SpoolRows, name: str, slot: int, size: int) -> None:
        self._rows = rows
        self._link = rows.link(name)
        self._name = name
        self._slot = slot
        self.size = size

    def append(self, parts: Sequence[bytes], total: int, offset: int) -> None:
        put, name = _PUT[self._slot], self._name
        if _is_large(name) and self._rows.to_bucket(_object(name, offset), parts):
            self._link.run([(put, (name, offset, total, None))])
            return
        statements = []
        for piece in _pieces(parts):
            statements.append((put, (name, offset, len(piece), piece)))
            offset += len(piece)
        self._link.run(statements)

    def give_up(self, offset: int) -> None:
        self._link.first((_GONE[self._slot], (self._name, offset)))

    def close(self) -> None:
        self._rows.ended(self._name)


class MemberRows(SpoolRows):
    """The files of one member, by an engine of a member's. What is closed is `ended` when its
    statement is told; nothing is removed, and `take` is not called: that is the home's.
    """

    def __init__(
        self, engine: Engine, objects: Objects | None, member: str, ended: Callable[[str], None]
    ) -> None:
        """`member`: its name, which its files' names have; `ended` is called with the name of a
        file that nothing more is written to, by the thread that wrote to it.
        """
        super().__init__(engine, objects)
        self.kind = f"-rows{_OF}{member}"
        self._ended = ended

    def ended(self, name: str) -> None:
        """As it was told to say."""
        self._ended(name)

    def remove(self, name: str) -> None:
        """Leave it to the home, which finds it closed."""


def _pieces(parts: Sequence[bytes]) -> Iterator[bytes]:
    """The parts as one, in pieces of about a row's size."""
    piece: list[bytes] = []
    size = 0
    for part in parts:
        if size and size + len(part) > _ROW:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(part)
        size += len(part)
    yield b"".join(piece)


def _is_large(name: str) -> bool:
    """Whether a file is of the lane for large ones (`spool_writing`): those go into the bucket."""
    return name.endswith("-large")


def _is_written(file: str, files: set[str]) -> bool:
    """Whether a member may be about to say that an object of this file is there."""
    return file in files and is_members(file)


def _object(name: str, at: int) -> str:
    """What a group is called in the bucket."""
    return f"{name}/{at}"


def _slot_of(connection: Connection, name: str) -> int | None:
    slot = connection.execute(_SLOT, {"file": name}).scalar()
    return slot if isinstance(slot, int) and 0 <= slot < SLOTS else None
