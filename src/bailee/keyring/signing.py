"""Signed records: what a home states, so that anyone who knows its key can check who said it. Pure.

A signed record is JSON: `{"receipt": {...}, "public_key": ..., "signature": ...}`. What is signed,
with Ed25519 (RFC 8032), is a name of the purpose and the receipt's canonical form: keys sorted, no
spaces, UTF-8. Its values are text, whole numbers, truth values, lists and objects.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bailee.errors import IntegrityError

NAME: Final = "receipts/signing"
"""The keyring's named secret that is the private key."""

_PURPOSE: Final = b"bailee/receipt/1\n"


def sign(seed: bytes, receipt: Mapping[str, object]) -> dict[str, object]:
    """The receipt with its signature. `seed`: 32 bytes, the private key."""
    return {
        "receipt": dict(receipt),
        "public_key": public_key(seed),
        "signature": _text(Ed25519PrivateKey.from_private_bytes(seed).sign(_bytes(receipt))),
    }


def digest(receipt: Mapping[str, object]) -> str:
    """SHA-256 of a receipt's canonical form, hexadecimal: how an entry of the log names it."""
    return hashlib.sha256(_canonical(receipt)).hexdigest()


def public_key(seed: bytes) -> str:
    """The public key, in base64."""
    return _text(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def fingerprint(key: str) -> str:
    """A public key in a form for people to compare: SHA-256, hexadecimal.

    Raises:
        IntegrityError: it is not base64.
    """
    try:
        return hashlib.sha256(base64.b64decode(key, validate=True)).hexdigest()
    except ValueError as error:
        raise _wrong() from error


def verify(signed: object) -> tuple[dict[str, object], str]:
    """The receipt and the public key that signed it. Whose key that is, is for the caller to know.

    Raises:
        IntegrityError: it is no signed receipt, or was changed since it was signed.
    """
    try:
        assert isinstance(signed, dict)
        receipt, key = signed["receipt"], signed["public_key"]
        assert isinstance(receipt, dict)
        signature = base64.b64decode(signed["signature"], validate=True)
        raw = base64.b64decode(key, validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, _bytes(receipt))
    except (AssertionError, KeyError, TypeError, ValueError, InvalidSignature) as error:
        raise _wrong() from error
    return receipt, key


def _wrong() -> IntegrityError:
    return IntegrityError(
        "this is not a receipt as it was signed.",
        hint="it was changed, or is something else; ask for it again",
    )


def _bytes(receipt: Mapping[str, object]) -> bytes:
    return _PURPOSE + _canonical(receipt)


def _canonical(receipt: Mapping[str, object]) -> bytes:
    return orjson.dumps(dict(receipt), option=orjson.OPT_SORT_KEYS)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
