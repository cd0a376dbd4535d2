"""What names a person, sealed under that person's own key.

Rules kept here:

* The key of a person is the keyring's, under the person's id: destroying it there makes every
  identifier unreadable, in this database and in every copy of it.
* To find a person by email there is a keyed digest of it. Its key is the keyring's too. Whoever
  holds a copy of the database without the keyring can't try emails against it.
* A sealed value opens only for its person and its kind.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError

_NONCE = 12


class PersonKeys(Protocol):
    """Where the keys are (32 bytes each). `node.person_keys` implements it over the keyring. Called
    from any thread; `index_key` once, when `Identifiers` is made.
    """

    def make(self, person_id: str) -> bytes:
        """A person's key, made if there is none."""
        ...

    def get(self, person_id: str) -> bytes:
        """A person's key. Raises `IntegrityError` (`key_destroyed`) when there is none."""
        ...

    def index_key(self) -> bytes:
        """The key of the digests by which people are found."""
        ...


class Identifiers:
    """Seals, opens and finds identifiers.

    The stores of the package hold one and call it, on any thread. It owns the key of the digests,
    and asks for a person's key each time. It writes nothing: rows are those of who calls.
    """

    def __init__(self, keys: PersonKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._index_key = keys.index_key()
        self._random = random

    def seal(self, person_id: str, kind: str, text: str) -> bytes:
        """`text` under the person's key, bound to person and kind (such as `email`)."""
        nonce = self._random(_NONCE)
        sealed = AESGCM(self._keys.make(person_id)).encrypt(
            nonce, text.encode(), _bound(person_id, kind)
        )
        return nonce + sealed

    def open(self, person_id: str, kind: str, sealed: bytes) -> str:
        """What was sealed.

        Raises:
            IntegrityError: the key was destroyed (`key_destroyed`), or the bytes were changed.
        """
        try:
            opened = AESGCM(self._keys.get(person_id)).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], _bound(person_id, kind)
            )
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(
                f"the {kind} of {person_id} does not authenticate.",
                hint="the store was changed or damaged; restore it from a backup",
            ) from error
        return opened.decode()

    def shown(self, person_id: str, kind: str, sealed: bytes | None) -> str | None:
        """What was sealed, to be shown; None when there is nothing, or nothing any more: an older
        copy of the data still names who was erased since, under a key that is gone.

        Raises:
            IntegrityError: the bytes were changed.
        """
        if sealed is None:
            return None
        try:
            return self.open(person_id, kind, sealed)
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            return None

    def index(self, kind: str, *parts: str) -> bytes:
        """The keyed digest by which something is found."""
        return indexed(self._index_key, kind, *parts)


def indexed(key: bytes, kind: str, *parts: str) -> bytes:
    """The keyed digest by which something is found."""
    message = b"\x00".join(part.encode() for part in (kind, *parts))
    return hmac.digest(key, message, "sha256")


def _bound(person_id: str, kind: str) -> bytes:
    return f"bailee/person/1\x00{person_id}\x00{kind}".encode()
