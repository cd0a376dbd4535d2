"""Keys of new spool files, made by a member (`db.members`) beside the process that has the keyring.

Rules kept here:

* A member makes such keys, and nothing else: it destroys none, moves none, and changes no row.
* It makes one in the turn of who writes, as all do. There it asks whether the generation that it
  wraps under is one that the keyring still counts on; a rotation ends older ones in a turn, too,
  and only once nothing is under them (`rotation`). So no key is lost between the two.
* A root that was opened before a rotation knows nothing of the new generation: it is opened anew.
  Where even that one is of the past, it is a copy that nobody keeps up to date, and is refused.
* What does not open says nothing of damage here: the root may be the wrong one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, select

from bailee.clock import Clock
from bailee.db.checks import sound
from bailee.db.engine import storage_errors
from bailee.db.keys import keks, root_place
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import twice
from bailee.keyring.epochs import epoch_of
from bailee.keyring.roots.root import Random, Root
from bailee.keyring.store import Dek, Kek, KeyStore, Target

_PREFIX: Final = "spool:"
_CLASS: Final = "spool"


class SpoolFileKeys:
    """Makes keys for one member's spool files. Its spool's writers have it, each on its thread. It
    owns no engine.
    """

    def __init__(
        self, engine: Engine, opened: Callable[[], Root], clock: Clock, random: Random = os.urandom
    ) -> None:
        """`engine`: of the keyring's database, as a member's; `opened` opens the root.

        Raises:
            IntegrityError, StorageError: as `opened` does.
        """
        self._engine = engine
        self._opened = opened
        self._clock = clock
        self._random = random
        self._store = KeyStore(engine, opened(), clock, random)

    def dek(self, subject: str, data_class: str, expires_at: datetime) -> Dek:
        """The key of a new spool file.

        Raises:
            StorageError: the keyring can't be reached, the process is a member no more, or the root
                is one of the past.
        """
        if not subject.startswith(_PREFIX) or data_class != _CLASS:
            raise StorageError("a process beside the home's makes keys of spool files alone.")
        target = data_class, epoch_of(expires_at)
        with self._store.lock:
            try:
                return self._made(subject, target)
            except IntegrityError:
                self._store = KeyStore(self._engine, self._opened(), self._clock, self._random)
            try:
                return self._made(subject, target)
            except IntegrityError as error:
                raise StorageError(
                    "the root key here is not the one that the home goes by now.",
                    code="root_unreachable",
                    hint="have it in a service, or give this process the file itself: a copy is of "
                    "the past with the next rotation",
                ) from error

    def destroy(self, subjects: Sequence[str]) -> int:  # noqa: ARG002
        """None: who has the keyring destroys a file's key, with the file."""
        return 0

    # -- inside ----------------------------------------------------------------------------------

    def _made(self, subject: str, target: Target) -> Dek:
        store = self._store
        with storage_errors("the keyring"), self._engine.begin() as connection:
            kek = self._kek(connection, target)
            dek = Dek(subject, *target, kek.id, 1, store.new_key())
            store.add(connection, [(dek, kek)])
        return dek

    def _kek(self, connection: Connection, target: Target) -> Kek:
        """The KEK of a class and an epoch, made where there is none.

        Raises:
            IntegrityError: it does not open under this root, or this root is of the past.
        """
        data_class, epoch = target
        there = connection.execute(
            select(keks).where(
                keks.c.data_class == data_class, keks.c.epoch == epoch, keks.c.current, sound(keks)
            )
        ).first()
        if there is not None:
            return self._store.open_kek(there)
        noted = twice.row(connection, root_place, [root_place.c.oldest])
        newest = self._store.root.generations()[-1]
        if noted is None or noted._mapping["oldest"] > newest:
            raise IntegrityError("the root here is of the past.")
        return self._store.make_keks(connection, [target])[target]
