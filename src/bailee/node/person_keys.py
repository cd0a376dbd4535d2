"""A person's key in the keyring: under it lies what names them, in tables and the audit record.

It has no time to expire: it is destroyed when the person is erased (`Keyring.destroy` with their
id), and then opens nothing in any copy of the data.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine, bindparam, select

from bailee.db.accounts import accounts
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import erasures
from bailee.errors import IntegrityError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, seal, unseal

INDEX_KEY: Final = "people"
"""The name of the key of the digests by which people are found, among the keyring's secrets."""
_DATA_CLASS: Final = "person"
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
# Built once: to build a statement costs several times what it takes to run it.
_PERSON: Final = select(accounts.c.person_id).where(accounts.c.id == bindparam("account"))
_ERASURE: Final = select(erasures.c.id).where(erasures.c.person_id == bindparam("holder"))


class KeyringPersonKeys:
    """`bailee.accounts.PersonKeys` over a keyring. Any thread. It holds no key, and destroys
    none.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, person_id: str) -> bytes:
        """The person's key, made if there is none."""
        return self._keyring.dek(person_id, _DATA_CLASS, NEVER).key

    def get(self, person_id: str) -> bytes:
        """The person's key.

        Raises:
            IntegrityError: code `key_destroyed`, there is none.
        """
        return self._keyring.get(person_id).key

    def index_key(self) -> bytes:
        """The key of the digests by which people are found."""
        return self._keyring.secret(INDEX_KEY)


class Holders:
    """`bailee.ledger.Sealing`: particulars of the audit record under their holder's key. Any
    thread. It holds no key, and destroys none.

    A holder is a person, or an account that is no person's. What is of a person's account is under
    the person's key.
    """

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        """`engine`: the data database, which knows whose an account is and who was erased."""
        self._engine = engine
        self._keyring = keyring

    def seal(self, whose: str, plain: bytes, bound: bytes) -> tuple[str, bytes | None]:
        """See `bailee.ledger.Sealing`."""
        with storage_errors("the people"), reading(self._engine) as connection:
            holder = connection.execute(_PERSON, {"account": whose}).scalar() or whose
            gone = connection.execute(_ERASURE, {"holder": holder}).first() is not None
        if gone:
            return holder, None
        try:
            key = self._keyring.get(holder).key
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            key = self._keyring.dek(holder, _DATA_CLASS, NEVER).key
            # An erasure may have begun meanwhile, and be done with the key before this one.
            if self._is_gone(holder):
                return holder, None
        return holder, seal(key, plain, bound, os.urandom(NONCE_BYTES))

    def _is_gone(self, holder: str) -> bool:
        with storage_errors("the people"), reading(self._engine) as connection:
            return connection.execute(_ERASURE, {"holder": holder}).first() is not None

    def open(self, holder: str, sealed: bytes, bound: bytes) -> bytes | None:
        """See `bailee.ledger.Sealing`."""
        try:
            key = self._keyring.get(holder).key
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            return None
        return unseal(key, sealed, bound, "an entry of the audit record")
