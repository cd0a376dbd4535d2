"""The keyring's store: its rows, its write-ahead log, the root above, and what is open in memory.

Rules kept here:

* `root[generation] → KEK[data class, expiry epoch] → DEK[subject]`. A DEK never changes while its
  subject lives; what moves with the subject's expiry is its wrap (60 bytes), by compare-and-swap
  on a version.
* Keys in memory are dropped when they are destroyed. Python can't promise to overwrite them.
* One process uses a store at a time.

What is done with keys are functions over this: `taking`, `moving`, `holding`, `destroying`,
`rotation`, and `named`; `damage` and `verifying` say which don't open.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from bailee.clock import Clock
from bailee.db.checks import sound
from bailee.db.engine import DbRow, storage_errors
from bailee.db.keys import deks, kek_ends, keks, rotation
from bailee.db.many import put
from bailee.db.portable import driver_sql
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import damage, rooted, twice
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.roots.root import Bound, Random, Root
from bailee.keyring.wrapping import (
    KEY_BYTES,
    NONCE_BYTES,
    ZEROS,
    cipher,
    dek_data,
    kek_data,
    seal,
    unseal,
)
from bailee.shown import line

_CACHED_DEKS: Final = 8192
_AT_ONCE: Final = 500  # subjects in one query

# Built once: to build a statement costs several times what it takes to run it.
_ROWS: Final = (
    select(
        deks.c.subject,
        deks.c.version,
        deks.c.wrapped.label("wrapped_dek"),
        keks.c.id,
        keks.c.data_class,
        keks.c.epoch,
        keks.c.generation,
        keks.c.wrapped,
    )
    .select_from(deks.outerjoin(keks, deks.c.kek_id == keks.c.id))
    .where(deks.c.subject.in_(bindparam("subjects", expanding=True)))
)
# By the driver itself: to bind values by name takes longer than to change a row.
_REWRAP: Final = (
    "UPDATE deks SET kek_id = ?, version = ?, wrapped = ? WHERE subject = ? AND version = ?"
)
_CURRENT: Final = select(keks).where(
    keks.c.epoch.in_(bindparam("epochs", expanding=True)), keks.c.current, sound(keks)
)

Target: TypeAlias = "tuple[str, int]"
"""A data class and an expiry epoch: what shares a KEK."""


class Kek(NamedTuple):
    """A KEK that is open: its id, its 32 bytes, and the cipher that they are the key of."""

    id: str
    key: bytes
    cipher: AESGCM


@dataclass(frozen=True, slots=True)
class Dek:
    """A subject's key. `key` is 32 bytes; it is left out of `repr`."""

    subject: str
    data_class: str
    epoch: int
    kek_id: str
    version: int
    key: bytes = field(repr=False)


class Swap(NamedTuple):
    """A DEK's next version: under which KEK (`to`) and as what it lies there from now on."""

    of: str
    next: int
    to: str
    wrap: bytes


class KeyStore:
    """Owns the keyring's file while a home is open: the engine, the root, the keys in memory.

    The facade (`Keyring`) makes it; the package's other modules use it, from any thread. Who
    changes a key holds `lock` from before the transaction until memory agrees with it. It decides
    nothing: when a key is due, moved or destroyed is said by who calls; and nobody outside of the
    package holds it.
    """

    def __init__(self, engine: Engine, root: Root, clock: Clock, random: Random) -> None:
        """The store in `engine` (migrated)."""
        self.engine = engine
        self.root = root
        self.clock = clock
        self.lock = threading.RLock()
        self._random = random
        self._keks: dict[str, Kek] = {}  # these three: who holds `lock`, but for `forget`
        self._deks: OrderedDict[str, Dek] = OrderedDict()
        self.named: dict[str, bytes] = {}
        """The named keys that are open (`named`)."""
        self.wrapped_at: tuple[int, str] | None = None
        """The rotation's alone: a generation, and where the log has all wraps under it."""
        self._holding = threading.Lock()  # while `_deks` changes, or is gone through
        self._log_is_long = False

    def begin(self) -> None:
        """Note what a store has from its first opening on: who has it alone does that first.

        Raises:
            StorageError: it can't be read or written.
        """
        with storage_errors("the keyring"), self.engine.begin() as connection:
            first = {"rotated_at": self.clock(), "destroyed_since": False}
            twice.note(connection, rotation, first)
            rooted.note(connection, self.root)
            # A crash between the two halves of destroying leaves rows that are zeros already.
            connection.execute(delete(keks).where(keks.c.wrapped == ZEROS))
            connection.execute(delete(kek_ends).where(kek_ends.c.id.not_in(select(keks.c.id))))

    # -- what is in memory -----------------------------------------------------------------------

    def remembered(self, subject: str) -> Dek | None:
        """The subject's key, if it is open."""
        return self._deks.get(subject)

    def remember(self, deks_of: Iterable[Dek]) -> None:
        """Keep keys open, once what they say is committed."""
        with self._holding:
            for dek in deks_of:
                self._deks[dek.subject] = dek
                self._deks.move_to_end(dek.subject)
            while len(self._deks) > _CACHED_DEKS:
                self._deks.popitem(last=False)

    def forget(self, subjects: Iterable[str]) -> None:
        """Drop keys from memory."""
        for subject in subjects:
            self._deks.pop(subject, None)

    def forget_under(self, kek_ids: Iterable[str]) -> None:
        """Drop KEKs, and the keys under them, from memory."""
        gone = set(kek_ids)
        for kek_id in gone:
            self._keks.pop(kek_id, None)
        with self._holding:
            under = [subject for subject, dek in self._deks.items() if dek.kek_id in gone]
        self.forget(under)

    # -- DEKs ------------------------------------------------------------------------------------

    def new_key(self) -> bytes:
        """32 random bytes."""
        return self._random(KEY_BYTES)

    def rows(self, connection: Connection, subjects: Sequence[str]) -> dict[str, DbRow]:
        """The subjects' DEKs as they lie there, each with its KEK, for `open_dek`; by subject."""
        found: dict[str, DbRow] = {}
        for start in range(0, len(subjects), _AT_ONCE):
            some = {"subjects": subjects[start : start + _AT_ONCE]}
            found |= {row.subject: row for row in connection.execute(_ROWS, some)}
        return found

    def open_dek(self, connection: Connection, row: DbRow) -> Dek:
        """The key of one of the `rows`.

        Raises:
            IntegrityError: it has been destroyed (`key_destroyed`) or tampered with.
        """
        if row.id is None:
            if damage.living(connection, [row.subject]):
                raise IntegrityError(
                    f"the key of {line(row.subject)} is under a KEK that nothing knows.",
                    hint="it is damaged; put back the keyring that was there last",
                )
            raise destroyed(row.subject)
        kek = self.open_kek(row)
        key = self.unwrap(row.subject, row.data_class, row.version, row.wrapped_dek, kek)
        return Dek(row.subject, row.data_class, row.epoch, row.id, row.version, key)

    def unwrap(
        self, subject: str, data_class: str, version: int, wrapped: bytes, kek: Kek
    ) -> bytes:
        """The key of a DEK, by what is in its row.

        Raises:
            IntegrityError: it has been destroyed (`key_destroyed`) or tampered with.
        """
        if wrapped == ZEROS:
            raise destroyed(subject)
        return unseal(kek.cipher, wrapped, dek_data(subject, kek.id, data_class, version), "a DEK")

    def add(self, connection: Connection, made: Sequence[tuple[Dek, Kek]]) -> None:
        """Put new DEKs there, each under its KEK."""
        rows = [
            {
                "subject": dek.subject,
                "kek_id": kek.id,
                "version": dek.version,
                "wrapped": self.wrap(dek, kek),
            }
            for dek, kek in made
        ]
        put(connection, deks, rows)

    def wrap(self, dek: Dek, kek: Kek) -> bytes:
        """The wrap of a DEK under its KEK, bound to what the DEK says of itself."""
        data = dek_data(dek.subject, kek.id, dek.data_class, dek.version)
        return seal(kek.cipher, dek.key, data, self._random(NONCE_BYTES))

    def rewrap(self, connection: Connection, swaps: Sequence[Swap]) -> None:
        """Put DEKs under other KEKs, by compare-and-swap on their version.

        Raises:
            StorageError: one was moved by somebody else meanwhile. End the transaction with it.
        """
        values = [(to, next_, wrap, of, next_ - 1) for of, next_, to, wrap in swaps]
        if values and connection.exec_driver_sql(
            driver_sql(connection, _REWRAP), values
        ).rowcount != len(values):
            raise StorageError(
                "a key was moved by someone else at the same time.", hint="try again"
            )

    # -- KEKs ------------------------------------------------------------------------------------

    def current_keks(self, connection: Connection, targets: Iterable[Target]) -> dict[Target, Kek]:
        """The KEKs that take new DEKs of these classes and epochs; made where there is none, or it
        can't be opened.
        """
        wanted, found = set(targets), dict[Target, Kek]()
        epochs = sorted({epoch for _, epoch in wanted})
        for start in range(0, len(epochs), _AT_ONCE):
            some = {"epochs": epochs[start : start + _AT_ONCE]}
            there = connection.execute(_CURRENT, some).all()
            rows = [row for row in there if (row.data_class, row.epoch) in wanted]
            opened = self.open_keks(rows)
            for row in rows:
                kek = opened[row.id]
                if isinstance(kek, Kek):
                    found[row.data_class, row.epoch] = kek
                else:  # what is new goes under another; this goes with its epoch
                    damage.note(connection, damage.KEK, row.id, self.clock())
                    connection.execute(
                        update(keks).where(keks.c.id == row.id).values(current=False)
                    )
        if missing := sorted(wanted - found.keys()):
            found |= self.make_keks(connection, missing)
        return found

    def make_keks(self, connection: Connection, targets: Sequence[Target]) -> dict[Target, Kek]:
        """New KEKs. They are cached when they are next read: this transaction may yet fail."""
        generation, made = self.root.generations()[-1], dict[Target, Kek]()
        for target in targets:
            key = self.new_key()
            made[target] = Kek(self._random(12).hex(), key, cipher(key))
        bound = [(kek.key, kek_data(kek.id, *target, generation)) for target, kek in made.items()]
        rows = [
            {
                "id": kek.id,
                "data_class": data_class,
                "epoch": epoch,
                "generation": generation,
                "wrapped": wrapped,
                "current": True,
                "dirty": False,
            }
            for ((data_class, epoch), kek), wrapped in zip(
                made.items(), self.root.wrap_all(generation, bound), strict=True
            )
        ]
        connection.execute(insert(keks), rows)
        ends = [{"id": row["id"], "epoch": row["epoch"]} for row in rows]
        connection.execute(insert(kek_ends), ends)
        return made

    def open_kek(self, row: DbRow) -> Kek:
        """The KEK of a row of `keks`.

        Raises:
            IntegrityError: it has been destroyed (`key_destroyed`) or tampered with.
            StorageError: it is not in memory, and the root is not to be reached.
        """
        found = self.open_keks([row])[row.id]
        if isinstance(found, IntegrityError):
            raise found
        return found

    def open_keks(
        self, rows: Sequence[DbRow], *, remember: bool = True
    ) -> dict[str, Kek | IntegrityError]:
        """The KEKs of rows of `keks`, by id; in the place of one that was destroyed or tampered
        with, the error. The root is asked once for each of its generations. Who does not hold the
        lock must not have them remembered: they may be destroyed meanwhile.

        Raises:
            StorageError: one is not in memory, and the root is not to be reached.
        """
        found: dict[str, Kek | IntegrityError] = {}
        wraps: dict[int, dict[str, Bound]] = {}
        for row in rows:
            if (kek := self._keks.get(row.id)) is not None:
                found[row.id] = kek
            elif row.wrapped == ZEROS:
                found[row.id] = destroyed("a KEK")
            else:
                data = kek_data(row.id, row.data_class, row.epoch, row.generation)
                wraps.setdefault(row.generation, {})[row.id] = (row.wrapped, data)
        for generation, some in wraps.items():
            opened = self.root.unwrap_all(generation, [*some.values()])
            for kek_id, key in zip(some, opened, strict=True):
                found[kek_id] = Kek(kek_id, key, cipher(key)) if isinstance(key, bytes) else key
        if remember:
            self._keks |= {kek.id: kek for kek in found.values() if isinstance(kek, Kek)}
        return found

    # -- the file --------------------------------------------------------------------------------

    def truncate_log(self, *, if_long: bool = False) -> None:
        """Cut the write-ahead log; with `if_long`, only if readers blocked that the last time."""
        if self._log_is_long or not if_long:
            self._log_is_long = not truncate_log(self.engine)


def destroyed(subject: str) -> IntegrityError:
    """The error that a key is not there any more, or never was."""
    return IntegrityError(f"the key of {subject} has been destroyed.", code="key_destroyed")
