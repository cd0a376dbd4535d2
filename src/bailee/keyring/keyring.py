"""Keys by subject, and their destruction.

Rules kept here:

* `root[generation] → KEK[data class, expiry epoch] → DEK[subject]`. A DEK never changes while its
  subject lives; what moves with the subject's expiry is its wrap (60 bytes), by compare-and-swap
  on a version.
* Expiry destroys one KEK however many subjects it covers. Destroying is: zero the wrap in place and
  commit, delete the row and commit, fold the write-ahead log into the file and cut it to nothing.
  Rows of DEKs whose KEK is gone open nothing; `remove_dead` takes them away in portions.
* An old copy of the store (a backup, a page's slack, a flash cell) still holds old wraps. `rotate`
  (module `rotation`) makes them worthless. To know which KEKs must be replaced for that, a KEK is
  marked dirty when a DEK under it, or formerly under it, is destroyed or leaves for an earlier
  epoch.
* Keys in memory are dropped when they are destroyed. Python can't promise to overwrite them.
* One process uses a store at a time; within it, methods may be called from any thread.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_ignore

from bailee.clock import Clock
from bailee.db.among import among
from bailee.db.engine import reading, storage_errors
from bailee.db.keys import deks, destroyed_keks, former_keks, keks, rotation, secrets
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import damage
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.damage import Damaged, listed
from bailee.keyring.destroying import DestroyedKek, destroy, destroy_due, due, remove_dead
from bailee.keyring.epochs import ends_at, epoch_of
from bailee.keyring.holding import hold
from bailee.keyring.moving import Moved, move
from bailee.keyring.root import Random, Root
from bailee.keyring.rotation import Rotation, rotate
from bailee.keyring.wrapping import (
    KEY_BYTES,
    NONCE_BYTES,
    SEALED_KEY_BYTES,
    dek_data,
    kek_data,
    seal,
    secret_data,
    unseal,
)
from bailee.shown import line

_ZEROS = bytes(SEALED_KEY_BYTES)
_CACHED_DEKS = 8192
_AT_ONCE = 500  # subjects in one query

# Built once: to build a statement costs several times what it takes to run it.
_ROWS = (
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


@dataclass(frozen=True, slots=True)
class Want:
    """A subject's key is wanted, to live until `expires_at`."""

    subject: str
    data_class: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Dek:
    """A subject's key. `key` is 32 bytes; it is left out of `repr`."""

    subject: str
    data_class: str
    epoch: int
    kek_id: str
    version: int
    key: bytes = field(repr=False)


class Keyring:
    """The keys of one home."""

    def __init__(self, engine: Engine, root: Root, clock: Clock, random: Random) -> None:
        """Use `open`."""
        self.engine = engine
        self.root = root
        self._clock = clock
        self._random = random
        self.lock = threading.RLock()
        self._keks: dict[str, bytes] = {}
        self._deks: OrderedDict[str, Dek] = OrderedDict()
        self._holding = threading.Lock()  # while what is held in memory changes, or is gone through
        self._secrets: dict[str, bytes] = {}
        self._log_is_long = False

    @classmethod
    def open(cls, engine: Engine, root: Root, clock: Clock, random: Random = os.urandom) -> Keyring:
        """The keyring in `engine` (migrated), under `root`.

        Raises:
            StorageError: the store can't be read or written.
        """
        with storage_errors("the keyring"), engine.begin() as connection:
            connection.execute(
                insert_or_ignore(rotation)
                .values(id=1, rotated_at=clock(), destroyed_since=False)
                .on_conflict_do_nothing()
            )
            # A crash between the two halves of destroying leaves rows that are zeros already.
            connection.execute(delete(keks).where(keks.c.wrapped == _ZEROS))
        return cls(engine, root, clock, random)

    # -- keys ------------------------------------------------------------------------------------

    def dek(self, subject: str, data_class: str, expires_at: datetime) -> Dek:
        """The subject's key: made if there is none, moved if its epoch or class changed.

        Raises:
            IntegrityError: it has been destroyed (`key_destroyed`) or tampered with.
            StorageError: the store can't be read or written.
        """
        return self.many([Want(subject, data_class, expires_at)])[subject]

    def many(self, wants: Iterable[Want]) -> dict[str, Dek]:
        """Like `dek`, for many subjects, each once, in one transaction."""
        found: dict[str, Dek] = {}
        missing: list[tuple[Want, int]] = []
        with self.lock:
            for want in wants:
                epoch = epoch_of(want.expires_at)
                cached = self._deks.get(want.subject)
                if cached and cached.epoch == epoch and cached.data_class == want.data_class:
                    found[want.subject] = cached
                else:
                    missing.append((want, epoch))
            if missing:
                with storage_errors("the keyring"), self.engine.begin() as connection:
                    found |= self._take(connection, missing)
            for want, _ in missing:
                self._remember(found[want.subject])
        return found

    def move(self, wants: Sequence[Want]) -> Moved:
        """Move keys that exist to other epochs, thousands at once; how many had to be moved, and
        which could not.

        Raises:
            StorageError: the store can't be read or written; call again.
        """
        return move(self, wants)

    def hold(self, name: str, subject: str) -> None:
        """Keep the key of `subject` as `name` too, until that is destroyed. See `holding`.

        Raises:
            IntegrityError: the key has been destroyed (`key_destroyed`) or tampered with.
            StorageError: the store can't be read or written.
        """
        hold(self, name, subject)

    def get(self, subject: str) -> Dek:
        """The subject's key as it is.

        Raises:
            IntegrityError: there is none, or no more (`key_destroyed`), or it was tampered with.
            StorageError: the store can't be read.
        """
        with self.lock:
            cached = self._deks.get(subject)
            if cached is not None:
                return cached
            with storage_errors("the keyring"), reading(self.engine) as connection:
                row = self._row(connection, subject)
            if row is None:
                raise _destroyed(subject)
            dek = self._open_dek(row)
            self._remember(dek)
            return dek

    def secret(self, name: str) -> bytes:
        """A named 32-byte key for keyed digests; made when first asked for.

        Raises:
            IntegrityError: it was tampered with.
            StorageError: the store can't be read or written.
        """
        with self.lock:
            if name not in self._secrets:
                with storage_errors("the keyring"), self.engine.begin() as connection:
                    self._secrets[name] = self._take_secret(connection, name)
            return self._secrets[name]

    # -- destroying ------------------------------------------------------------------------------

    def destroy(self, subjects: Sequence[str]) -> int:
        """Destroy the keys of `subjects`; how many there were.

        Raises:
            StorageError: the store can't be written. What was begun is finished by the next call
                of `remove_dead`.
        """
        return destroy(self, subjects)

    def due(self, now: datetime) -> list[DestroyedKek]:
        """The KEKs that `destroy_due` would destroy."""
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return due(connection, now)

    def destroy_due(self, now: datetime) -> list[DestroyedKek]:
        """Destroy every KEK whose epoch has ended by `now`, and so every key under it.

        Raises:
            StorageError: the store can't be written; call again.
        """
        return destroy_due(self, now, self._clock())

    def remove_dead(self, most: int = 20_000) -> int:
        """Remove up to `most` rows of DEKs whose KEK is gone; how many were removed.

        Raises:
            StorageError: the store can't be written.
        """
        return remove_dead(self, most)

    def living(self, subjects: Sequence[str]) -> list[str]:
        """Those of `subjects` that have a key which nothing has destroyed, damaged or not.

        Raises:
            StorageError: the store can't be read.
        """
        query = select(deks.c.subject).where(among(deks.c.subject, subjects), damage.undestroyed())
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def subjects(self, prefix: str) -> list[str]:
        """The subjects that begin with `prefix` and have a key which nothing has destroyed, damaged
        or not.

        Raises:
            StorageError: the store can't be read.
        """
        of_it = deks.c.subject.startswith(prefix, autoescape=True)
        query = select(deks.c.subject).where(of_it, damage.undestroyed())
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def kek_ids(self) -> list[str]:
        """The KEKs that nothing has destroyed.

        Raises:
            StorageError: the store can't be read.
        """
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return list(connection.execute(select(keks.c.id)).scalars())

    def ended(self, data_class: str, expires_at: datetime) -> bool:
        """Whether it is on record that the keys of a class that lived until `expires_at` were
        destroyed when their time had come.

        Raises:
            StorageError: the store can't be read.
        """
        epoch = epoch_of(expires_at)
        query = select(destroyed_keks.c.destroyed_at).where(
            destroyed_keks.c.data_class == data_class, destroyed_keks.c.epoch == epoch
        )
        with storage_errors("the keyring"), reading(self.engine) as connection:
            moments = connection.execute(query).scalars().all()
        return any(moment >= ends_at(epoch) for moment in moments)

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

    def truncate_log(self, *, if_long: bool = False) -> None:
        """Cut the write-ahead log; with `if_long`, only if readers blocked that the last time."""
        if self._log_is_long or not if_long:
            self._log_is_long = not truncate_log(self.engine)

    # -- rotation --------------------------------------------------------------------------------

    def rotation_due(self, now: datetime, interval_seconds: float) -> bool:
        """Whether something was destroyed since the last rotation, and that is `interval` ago, or
        is to come, by a clock that was set back; or a rotation was broken off.
        """
        if len(self.root.generations()) > 1:
            return True
        with storage_errors("the keyring"), reading(self.engine) as connection:
            row = connection.execute(select(rotation)).one()
        since = (now - row.rotated_at).total_seconds()
        return bool(row.destroyed_since) and not 0 <= since < interval_seconds

    def generation(self) -> int:
        """The root's newest generation. It grows by one with each rotation, whatever a clock does.

        Raises:
            StorageError: the root can't be read.
        """
        return self.root.generations()[-1]

    def damaged(self) -> list[Damaged]:
        """The keys that were found not to open.

        Raises:
            StorageError: the store can't be read.
        """
        return listed(self)

    def rotate_root(self) -> Rotation:
        """Make every older copy of this store worthless for what was destroyed by now.

        Raises:
            IntegrityError: code `home_parts`: the root opens nothing; nothing was changed.
            StorageError: the store can't be written; call again to finish.
        """
        return rotate(self, self._clock)

    # -- inside ----------------------------------------------------------------------------------

    def new_key(self) -> bytes:
        """32 random bytes."""
        return self._random(KEY_BYTES)

    def current_kek(self, connection: Connection, data_class: str, epoch: int) -> tuple[str, bytes]:
        """Id and key of the KEK that takes new DEKs of an epoch; made if there is none, or it
        can't be opened.
        """
        row = connection.execute(
            select(keks).where(
                keks.c.data_class == data_class, keks.c.epoch == epoch, keks.c.current
            )
        ).first()
        if row is not None:
            try:
                return row.id, self.open_kek(row)
            except IntegrityError:  # what is new goes under another; this goes with its epoch
                damage.note(connection, damage.KEK, row.id, self._clock())
                connection.execute(update(keks).where(keks.c.id == row.id).values(current=False))
        kek_id, key = self._random(12).hex(), self.new_key()
        generation = self.root.generations()[-1]
        wrapped = self.root.wrap(generation, key, kek_data(kek_id, data_class, epoch, generation))
        connection.execute(
            insert(keks).values(
                id=kek_id,
                data_class=data_class,
                epoch=epoch,
                generation=generation,
                wrapped=wrapped,
                current=True,
                dirty=False,
            )
        )
        return kek_id, key  # cached when it is next read: this transaction may yet fail

    def open_kek(self, row: Any) -> bytes:
        """The key of a row of `keks`."""
        key = self._keks.get(row.id)
        if key is None:
            if row.wrapped == _ZEROS:
                raise _destroyed("a KEK")
            data = kek_data(row.id, row.data_class, row.epoch, row.generation)
            key = self._keks[row.id] = self.root.unwrap(row.generation, row.wrapped, data)
        return key

    def open_secret(self, row: Any) -> bytes:
        """The key of a row of `secrets`."""
        key = self._secrets.get(row.name)
        if key is None:
            data = secret_data(row.name, row.generation)
            try:
                key = self.root.unwrap(row.generation, row.wrapped, data)
            except IntegrityError as error:
                raise IntegrityError(
                    f"the secret {line(row.name)} of the keyring does not open: {error.message}",
                    code=error.code,
                    hint="put back the keyring that was there last; nothing was changed",
                ) from error
        return key

    def wrap_dek(
        self, subject: str, data_class: str, version: int, key: bytes, kek: tuple[str, bytes]
    ) -> bytes:
        """A DEK sealed under a KEK (id, key)."""
        data = dek_data(subject, kek[0], data_class, version)
        return seal(kek[1], key, data, self._random(NONCE_BYTES))

    def unwrap_dek(
        self, subject: str, data_class: str, version: int, wrapped: bytes, kek: tuple[str, bytes]
    ) -> bytes:
        """What `wrap_dek` sealed."""
        if wrapped == _ZEROS:
            raise _destroyed(subject)
        return unseal(kek[1], wrapped, dek_data(subject, kek[0], data_class, version), "a DEK")

    def _row(self, connection: Connection, subject: str) -> Any:
        return connection.execute(_ROWS, {"subjects": [subject]}).first()

    def _open_dek(self, row: Any) -> Dek:
        if row.id is None:
            if self.living([row.subject]):
                raise IntegrityError(
                    f"the key of {line(row.subject)} is under a KEK that nothing knows.",
                    hint="it is damaged; put back the keyring that was there last",
                )
            raise _destroyed(row.subject)
        kek = (row.id, self.open_kek(row))
        key = self.unwrap_dek(row.subject, row.data_class, row.version, row.wrapped_dek, kek)
        return Dek(row.subject, row.data_class, row.epoch, row.id, row.version, key)

    def _take(self, connection: Connection, wants: Sequence[tuple[Want, int]]) -> dict[str, Dek]:
        """The keys of subjects, each with its epoch."""
        subjects = [want.subject for want, _ in wants]
        rows: dict[str, Any] = {}
        for start in range(0, len(subjects), _AT_ONCE):
            some = {"subjects": subjects[start : start + _AT_ONCE]}
            rows |= {row.subject: row for row in connection.execute(_ROWS, some)}
        found: dict[str, Dek] = {}
        keks_of: dict[tuple[str, int], tuple[str, bytes]] = {}
        made: list[dict[str, object]] = []
        for want, epoch in wants:
            if (row := rows.get(want.subject)) is not None:
                dek = self._open_dek(row)
                if dek.epoch != epoch or dek.data_class != want.data_class:
                    dek = self._move(connection, dek, want.data_class, epoch)
                found[want.subject] = dek
                continue
            kek = keks_of.get((want.data_class, epoch))
            if kek is None:
                kek = self.current_kek(connection, want.data_class, epoch)
                keks_of[want.data_class, epoch] = kek
            key = self.new_key()
            wrapped = self.wrap_dek(want.subject, want.data_class, 1, key, kek)
            made.append(
                {"subject": want.subject, "kek_id": kek[0], "version": 1, "wrapped": wrapped}
            )
            found[want.subject] = Dek(want.subject, want.data_class, epoch, kek[0], 1, key)
        if made:
            connection.execute(insert(deks), made)
        return found

    def _move(self, connection: Connection, dek: Dek, data_class: str, epoch: int) -> Dek:
        kek = self.current_kek(connection, data_class, epoch)
        version = dek.version + 1
        wrapped = self.wrap_dek(dek.subject, data_class, version, dek.key, kek)
        swapped = connection.execute(
            update(deks)
            .where(deks.c.subject == dek.subject, deks.c.version == dek.version)
            .values(kek_id=kek[0], version=version, wrapped=wrapped)
        ).rowcount
        if swapped != 1:
            raise StorageError(
                "a key was moved by someone else at the same time.", hint="try again"
            )
        connection.execute(
            insert_or_ignore(former_keks)
            .values(subject=dek.subject, kek_id=dek.kek_id)
            .on_conflict_do_nothing()
        )
        if epoch < dek.epoch:
            connection.execute(update(keks).where(keks.c.id == dek.kek_id).values(dirty=True))
            connection.execute(update(rotation).values(destroyed_since=True))
        return Dek(dek.subject, data_class, epoch, kek[0], version, dek.key)

    def _take_secret(self, connection: Connection, name: str) -> bytes:
        row = connection.execute(select(secrets).where(secrets.c.name == name)).first()
        if row is not None:
            return self.open_secret(row)
        generation, key = self.root.generations()[-1], self.new_key()
        wrapped = self.root.wrap(generation, key, secret_data(name, generation))
        connection.execute(
            insert(secrets).values(name=name, generation=generation, wrapped=wrapped)
        )
        return key

    def _remember(self, dek: Dek) -> None:
        with self._holding:
            self._deks[dek.subject] = dek
            self._deks.move_to_end(dek.subject)
            while len(self._deks) > _CACHED_DEKS:
                self._deks.popitem(last=False)


def _destroyed(subject: str) -> IntegrityError:
    return IntegrityError(f"the key of {subject} has been destroyed.", code="key_destroyed")
