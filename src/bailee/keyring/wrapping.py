"""AES-256-GCM with associated data that says what a ciphertext is. Pure.

* A sealed value is `nonce (12 bytes) | ciphertext | tag (16 bytes)`; a sealed key is 60 bytes.
* Nonces are random and come in as arguments; a DEK seals far fewer than 2^32 values
  (NIST SP 800-38D, section 8.3).
* The associated data is a list of parts, each with its length before it, so that no two lists
  read the same; the first part names the purpose. A value taken from one place does not open
  in another.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SEALED_KEY_BYTES: Final = NONCE_BYTES + KEY_BYTES + 16
ZEROS: Final = bytes(SEALED_KEY_BYTES)
"""In the place of a wrap that was destroyed."""

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


def kek_data(kek_id: str, data_class: str, epoch: int, generation: int) -> bytes:
    """What a KEK's wrap is bound to."""
    return associated("bailee/kek/1", kek_id, data_class, epoch, generation)


def dek_data(subject: str, kek_id: str, data_class: str, version: int) -> bytes:
    """What a DEK's wrap is bound to."""
    return associated("bailee/dek/1", subject, kek_id, data_class, version)


def secret_data(name: str, generation: int) -> bytes:
    """What a named secret's wrap is bound to."""
    return associated("bailee/secret/1", name, generation)


def seal(key: Key, value: bytes, data: bytes, nonce: bytes) -> bytes:
    """`value` under `key`, bound to `data`."""
    return nonce + cipher(key).encrypt(nonce, value, data)


def unseal(key: Key, sealed: bytes | memoryview, data: bytes, what: str) -> bytes:
    """The value that was sealed. `what` names it in the error.

    Raises:
        IntegrityError: another key, other associated data, or changed bytes.
    """
    try:
        return cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], data)
    except (InvalidTag, ValueError, TypeError) as error:
        raise IntegrityError(
            f"{what} does not authenticate.",
            hint="the store was changed or damaged; restore it from a backup",
        ) from error
