"""The keyring, as everything else holds it: keys by subject, and their destruction.

Rules kept here:

* Expiry destroys one KEK however many subjects it covers. Destroying is: zero the wrap in place and
  commit, delete the row and commit, fold the write-ahead log into the file and cut it to nothing.
  Rows of DEKs whose KEK is gone open nothing; `remove_dead` takes them away in portions.
* PostgreSQL overwrites nothing: there what was destroyed is in the heap and in the log, and gone
  when `rotate` has been. So that is due soon (`overwrites`).
* An old copy of the store (a backup, a page's slack, a flash cell) still holds old wraps. `rotate`
  (module `rotation`) makes them worthless. To know which KEKs must be replaced for that, a KEK is
  marked dirty when a DEK under it, or formerly under it, is destroyed or leaves for an earlier
  epoch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, func, select, true

from bailee.clock import Clock
from bailee.damage import Damaged
from bailee.db.checks import sound
from bailee.db.engine import overwrites, reading, storage_errors
from bailee.db.keys import deks, destroyed_keks, ended_roots, keks
from bailee.errors import IntegrityError
from bailee.keyring import damage, mending, named, rooted, twice, verifying
from bailee.keyring.copying import copy
from bailee.keyring.damage import DamagedKey
from bailee.keyring.destroying import destroy, destroy_due, remove_dead
from bailee.keyring.ending import EndedKek, due
from bailee.keyring.epochs import ends_at, epoch_of
from bailee.keyring.holding import hold
from bailee.keyring.moving import Moved, Want, move
from bailee.keyring.roots.root import Random, Root
from bailee.keyring.rotation import EndedRoots, Rotation, rotate
from bailee.keyring.store import Dek, KeyStore
from bailee.keyring.taking import get, keys_of, some, take


class Keyring:
    """The keys of one home. A process that opens the home makes one; stores and services hold it,
    and call it from any thread. What it hands out are keys of subjects and named secrets: never a
    KEK, the root or a wrap. It owns no engine: who opened that closes it.
    """

    def __init__(self, store: KeyStore) -> None:
        """Use `open`."""
        self._store = store
        self.engine = store.engine

    @classmethod
    def open(cls, engine: Engine, root: Root, clock: Clock, random: Random = os.urandom) -> Keyring:
        """The keyring in `engine` (migrated), under `root`.

        Raises:
            StorageError: the store can't be read or written.
        """
        store = KeyStore(engine, root, clock, random)
        store.begin()
        return cls(store)

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
        return take(self._store, wants)

    def get(self, subject: str) -> Dek:
        """The subject's key as it is.

        Raises:
            IntegrityError: there is none, or no more (`key_destroyed`), or it was tampered with.
            StorageError: the store can't be read.
        """
        return get(self._store, subject)

    def some(self, subjects: Sequence[str]) -> dict[str, Dek | IntegrityError]:
        """Like `get`, for many subjects in one transaction: of each its key, or why there is none.

        Raises:
            StorageError: the store can't be read.
        """
        return some(self._store, subjects)

    def keys_of(self, subjects: Sequence[str]) -> dict[str, bytes]:
        """The keys alone of those of `subjects` whose key opens, for who goes over many.

        Raises:
            StorageError: the store can't be read.
        """
        return keys_of(self._store, subjects)

    def move(self, wants: Sequence[Want]) -> Moved:
        """Move keys that exist to other epochs, thousands at once; how many had to be moved, and
        which could not.

        Raises:
            StorageError: the store can't be read or written; call again.
        """
        return move(self._store, wants)

    def hold(self, name: str, subject: str) -> None:
        """Keep the key of `subject` as `name` too, until that is destroyed. See `holding`.

        Raises:
            IntegrityError: the key has been destroyed (`key_destroyed`) or tampered with.
            StorageError: the store can't be read or written.
        """
        hold(self._store, name, subject)

    @property
    def overwrites(self) -> bool:
        """Whether a key that is destroyed is gone from the store's own files at once. If not, it is
        gone once the root's generation is that wrapped it (`rotate_root`).
        """
        return overwrites(self.engine)

    def secret(self, name: str) -> bytes:
        """A named 32-byte key for keyed digests; made when first asked for.

        Raises:
            IntegrityError: it was tampered with.
            StorageError: the store can't be read or written.
        """
        return named.secret(self._store, name)

    def take_secrets(self, names: Iterable[str]) -> None:
        """Read or make those that will be asked for with `secret`, in one transaction. Of one that
        was tampered with, `secret` says it.

        Raises:
            StorageError: the store can't be read or written.
        """
        named.take_secrets(self._store, names)

    def new_key(self) -> bytes:
        """32 random bytes."""
        return self._store.new_key()

    def forget(self, subjects: Iterable[str]) -> None:
        """Drop keys from memory; what is in the store says again what they are."""
        self._store.forget(subjects)

    @property
    def root(self) -> Root:
        """What everything is wrapped under: copies of the store may be tried with it."""
        return self._store.root

    # -- which there are -------------------------------------------------------------------------

    def living(self, subjects: Sequence[str]) -> list[str]:
        """Those of `subjects` that have a key which nothing has destroyed, damaged or not.

        Raises:
            StorageError: the store can't be read.
        """
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return damage.living(connection, subjects)

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
            destroyed_keks.c.data_class == data_class,
            destroyed_keks.c.epoch == epoch,
            sound(destroyed_keks),
        )
        with storage_errors("the keyring"), reading(self.engine) as connection:
            moments = connection.execute(query).scalars().all()
        return any(moment >= ends_at(epoch) for moment in moments)

    def damaged(self) -> list[DamagedKey]:
        """The keys that were found not to open.

        Raises:
            StorageError: the store can't be read.
        """
        return damage.listed(self.engine)

    def found(self) -> Iterator[Damaged]:
        """The same, named as `verify` names them."""
        return verifying.found(self._store)

    def verify(self) -> Iterator[Damaged]:
        """Try every key: those that do not open. See `verifying`.

        Raises:
            StorageError: the store can't be read.
        """
        return verifying.verify(self._store)

    # -- destroying ------------------------------------------------------------------------------

    def destroy(self, subjects: Sequence[str]) -> int:
        """Destroy the keys of `subjects`; how many there were.

        Raises:
            StorageError: the store can't be written. What was begun is finished by the next call
                of `remove_dead`.
        """
        return destroy(self._store, subjects)

    def mend(self) -> list[str]:
        """Put right what the store says of keys and is not what was written; of which. See
        `mending`.

        Raises:
            StorageError: the store can't be read or written; call again.
        """
        with self._store.lock, storage_errors("the keyring"), self.engine.begin() as connection:
            return mending.mend(self._store, connection)

    def due(self, now: datetime) -> list[EndedKek]:
        """The KEKs that `destroy_due` would destroy.

        Raises:
            StorageError: the store can't be read.
        """
        with storage_errors("the keyring"), reading(self.engine) as connection:
            return due(connection, now)

    def destroy_due(self, now: datetime) -> list[EndedKek]:
        """Destroy every KEK whose epoch has ended by `now`, and so every key under it.

        Raises:
            StorageError: the store can't be written; call again.
        """
        return destroy_due(self._store, now)

    def remove_dead(self, most: int = 20_000) -> int:
        """Remove up to `most` rows of DEKs whose KEK is gone; how many were removed.

        Raises:
            StorageError: the store can't be written.
        """
        return remove_dead(self._store, most)

    # -- copying ---------------------------------------------------------------------------------

    def copy(self, root: Root, path: Path) -> int:
        """Copy the store to a file at `path`, under another root; how many keys did not open and
        were left out. See `copying`.

        Raises:
            StorageError: a file can't be read or written.
        """
        return copy(self.engine, self._store.root, root, path)

    # -- rotation --------------------------------------------------------------------------------

    def rotation_due(self, now: datetime, interval_seconds: float) -> bool:
        """Whether something was destroyed since the last rotation, and that is `interval` ago, or
        is to come, by a clock that was set back; or a rotation was broken off.
        """
        if len(self._store.root.generations()) > 1:
            return True
        with storage_errors("the keyring"), reading(self.engine) as connection:
            last = twice.rotated(connection)
        if last.is_broken_off:
            return True
        since = (now - last.rotated_at).total_seconds()
        return last.destroyed_since and not 0 <= since < interval_seconds

    def unrecoverable_at(self, now: datetime, interval_seconds: float) -> datetime | None:
        """When all that is destroyed by now will be unrecoverable from older copies of the store,
        if rotations come at this interval; None: it is already.

        Raises:
            StorageError: the store can't be read.
        """
        last = select(func.max(ended_roots.c.gone_at)).where(
            ended_roots.c.gone_at > now, sound(ended_roots)
        )
        with storage_errors("the keyring"), reading(self.engine) as connection:
            row = twice.rotated(connection)
            pending: datetime | None = connection.execute(last).scalar()
        is_over = not row.is_broken_off and len(self._store.root.generations()) == 1
        if is_over and not row.destroyed_since:
            return pending
        due: datetime = max(now, row.rotated_at + timedelta(seconds=interval_seconds))
        return due + self._store.root.lag

    def generation(self) -> int:
        """The root's newest generation. It grows by one with each rotation, whatever a clock does.

        Raises:
            StorageError: the root can't be read.
        """
        return self._store.root.generations()[-1]

    def rotate_root(self) -> Rotation:
        """Make every older copy of this store worthless for what was destroyed by now.

        Raises:
            IntegrityError: code `home_parts`: the root opens nothing; nothing was changed.
            StorageError: the store can't be written, or the root not be reached; call again to
                finish.
        """
        return rotate(self._store)

    def ended_root(self, now: datetime) -> EndedRoots | None:
        """The newest rotation since whose end no root from before can be brought back, whatever
        service had it; None: there is none.

        Raises:
            StorageError: the store can't be read.
        """
        since = max(now, self._store.clock())  # a rotation may have ended after `now` was asked
        newest = ended_roots.c.generation
        whole = sound(ended_roots)
        pending = select(func.min(newest)).where(ended_roots.c.gone_at > since, whole)
        with storage_errors("the keyring"), reading(self.engine) as connection:
            held: int | None = connection.execute(pending).scalar()
            before = true() if held is None else newest < held
            query = select(ended_roots).where(before, whole).order_by(newest.desc())
            row = connection.execute(query.limit(1)).first()
        return None if row is None else EndedRoots(row.generation, row.began_at)

    def arrived(self) -> None:
        """A move to another root is over: a rotation under both has ended.

        Raises:
            StorageError: the store can't be written.
        """
        rooted.arrived(self.engine)

    @property
    def root_driver(self) -> str:
        """What `keyring.root` calls the place of the root."""
        return self._store.root.driver

    @property
    def root_lag(self) -> timedelta:
        """How long a generation of the root could be brought back after its destruction."""
        return self._store.root.lag
