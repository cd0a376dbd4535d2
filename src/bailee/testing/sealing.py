"""Keys of holders in memory, for an audit record without a keyring."""

from __future__ import annotations

import os

from bailee.keyring.wrapping import KEY_BYTES, NONCE_BYTES, seal, unseal


class SealingInMemory:
    """`bailee.ledger.Sealing`. A holder's key is made when it is first needed; `destroy` it and
    nothing of theirs opens, nor is anything sealed for them.
    """

    def __init__(self) -> None:
        self._keys: dict[str, bytes | None] = {}

    def destroy(self, holder: str) -> None:
        """The holder is erased."""
        self._keys[holder] = None

    def seal(self, whose: str, plain: bytes, bound: bytes) -> tuple[str, bytes | None]:
        """See `bailee.ledger.Sealing`."""
        key = self._keys.setdefault(whose, os.urandom(KEY_BYTES))
        return whose, None if key is None else seal(key, plain, bound, os.urandom(NONCE_BYTES))

    def open(self, holder: str, sealed: bytes, bound: bytes) -> bytes | None:
        """See `bailee.ledger.Sealing`."""
        key = self._keys.get(holder)
        return None if key is None else unseal(key, sealed, bound, "an entry")
