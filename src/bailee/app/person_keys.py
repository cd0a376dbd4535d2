"""A person's key in the keyring: under it lies what names them.

It has no time to expire: it is destroyed when the person is erased (`Keyring.destroy` with their
id), and then opens nothing in any copy of the data.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bailee.keyring import Keyring

_DATA_CLASS: Final = "person"
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


class PersonKeys:
    """`bailee.accounts.PersonKeys` over a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, person_id: str) -> bytes:
        """The person's key, made if there is none."""
        return self._keyring.dek(person_id, _DATA_CLASS, _NEVER).key

    def get(self, person_id: str) -> bytes:
        """The person's key.

        Raises:
            IntegrityError: code `key_destroyed`, there is none.
        """
        return self._keyring.get(person_id).key

    def index_key(self) -> bytes:
        """The key of the digests by which people are found."""
        return self._keyring.secret("people")
