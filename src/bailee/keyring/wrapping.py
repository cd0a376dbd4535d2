"""AES-256-GCM with associated data that says what a ciphertext is. Pure.

* A sealed value is `nonce (12 bytes) | ciphertext | tag (16 bytes)`; a sealed key is 60 bytes.
* Nonces are random and come in as arguments; a DEK seals far fewer than 2^32 values
  (NIST SP 800-38D, section 8.3).
* The associated data is a list of parts, each with its length before it, so that no two lists
  read the same; the first part names the purpose. A value taken from one place does not open
  in another.
* A long value is sealed and opened in steps, between which other threads have their turn: one call
  keeps them all waiting, half a millisecond for each MiB. The bytes are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from bailee.errors import IntegrityError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SEALED_KEY_BYTES: Final = NONCE_BYTES + KEY_BYTES + 16
ZEROS: Final = bytes(SEALED_KEY_BYTES)
"""In the place of a wrap that was destroyed."""

STEP: Final = 256 << 10
"""Bytes that are sealed or opened in one call."""
_TAG_BYTES: Final = 16

Key: TypeAlias = "bytes | AESGCM"
"""32 bytes, or what `cipher` makes of them: making it costs as much as sealing a key does."""


def cipher(key: Key) -> AESGCM:
    """A key for many values."""
    return AESGCM(key) if isinstance(key, bytes) else key


def associated(*parts: str | int) -> bytes:
    """The parts as bytes that no other list of parts gives."""
    data = b""
    for part in parts:
        encoded = str(part).encode()
        data += len(encoded).to_bytes(4, "big") + encoded
    return data


_OF_A_DEK: Final = associated("bailee/dek/1")


def kek_data(kek_id: str, data_class: str, epoch: int, generation: int) -> bytes:
    """What a KEK's wrap is bound to."""
    return associated("bailee/kek/1", kek_id, data_class, epoch, generation)


def dek_data(subject: str, kek_id: str, data_class: str, version: int) -> bytes:
    """What a DEK's wrap is bound to."""
    # `associated` of five parts, of which only the subject is another for each of many keys.
    return _OF_A_DEK + associated(subject) + _under(kek_id, data_class, version)


@lru_cache(maxsize=1024)
def _under(kek_id: str, data_class: str, version: int) -> bytes:
    return associated(kek_id, data_class, version)


def secret_data(name: str, generation: int) -> bytes:
    """What a named secret's wrap is bound to."""
    return associated("bailee/secret/1", name, generation)


def seal(key: Key, value: bytes, data: bytes, nonce: bytes) -> bytes:
    """`value` under `key`, bound to `data`."""
    if isinstance(key, bytes) and len(value) > STEP:
        return b"".join((nonce, *sealed_parts(key, (value,), data, nonce)))
    return nonce + cipher(key).encrypt(nonce, value, data)


def sealed_parts(key: bytes, values: Iterable[bytes], data: bytes, nonce: bytes) -> list[bytes]:
    """What `seal` makes of the values, one after the other as one, in parts and without the
    nonce.
    """
    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(data)
    parts = [encryptor.update(step) for value in values for step in _steps(value)]
    return [*parts, encryptor.finalize(), encryptor.tag]


def unseal(key: Key, sealed: bytes | memoryview, data: bytes, what: str) -> bytes:
    """The value that was sealed. `what` names it in the error.

    Raises:
        IntegrityError: another key, other associated data, or changed bytes.
    """
    try:
        if isinstance(key, bytes) and len(sealed) > STEP:
            return _opened(key, sealed, data)
        return cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], data)
    except (InvalidTag, ValueError, TypeError) as error:
        raise IntegrityError(
            f"{what} does not authenticate.",
            hint="the store was changed or damaged; restore it from a backup",
        ) from error


def _opened(key: bytes, sealed: bytes | memoryview, data: bytes) -> bytes:
    """A long value; none of it is given out before all of it is known to be authentic."""
    view = memoryview(sealed)
    mode = GCM(bytes(view[:NONCE_BYTES]), bytes(view[-_TAG_BYTES:]))
    decryptor = Cipher(AES(key), mode).decryptor()
    decryptor.authenticate_additional_data(data)
    parts = [decryptor.update(step) for step in _steps(view[NONCE_BYTES:-_TAG_BYTES])]
    decryptor.finalize()
    return b"".join(parts)


def _steps(value: bytes | memoryview) -> Iterable[memoryview]:
    view = memoryview(value)
    return (view[at : at + STEP] for at in range(0, len(view), STEP))
