"""Signed notes (C2SP signed-note), and cosignatures of checkpoints (C2SP tlog-cosignature).

Pure.

Rules kept here:

* A key is known by its name and its id together, and signs in one kind alone.
* A signature of a key that nobody asked about says nothing; one of a known key that does not fit
  spoils the whole note.
* A note is at most 256 KiB, with at most 64 signatures.

A log signs its checkpoints with Ed25519, which whoever follows a log must understand, and with
ML-DSA-44, which a quantum computer can't forge. A witness cosigns in both kinds too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from bailee.errors import InputError, IntegrityError
from bailee.ledger.tlog import checkpoints
from bailee.ledger.tlog.checkpoints import from_base64, to_base64
from bailee.ledger.tlog.tree import refused

MOST_BYTES: Final = 256 * 1024
MOST_SIGNATURES: Final = 64
SEED_SIZE: Final = 32
_LAST_TIME: Final = (1 << 63) - 1
_DASH: Final = "\N{EM DASH} "
_ID_SIZE: Final = 4
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")


class Kind(IntEnum):
    """What a key signs, and how: the byte by which signed-note knows it."""

    ED25519 = 0x01
    """A note's text, with Ed25519."""
    COSIGNATURE = 0x04
    """A checkpoint's text and a time, with Ed25519."""
    ML_DSA_44 = 0x06
    """A checkpoint, a time and the signer's name, with ML-DSA-44."""

    @property
    def timed(self) -> bool:
        """Whether a signature says when it was made."""
        return self is not Kind.ED25519

    @property
    def covers_lines(self) -> bool:
        """Whether a signature covers a checkpoint's further lines."""
        return self is not Kind.ML_DSA_44


_PUBLIC_SIZES: Final = {Kind.ED25519: 32, Kind.COSIGNATURE: 32, Kind.ML_DSA_44: 1312}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: the name of who signs with it, the kind of signature, and its bytes.

    Raises:
        InputError: there can be no such key, or the installed `cryptography` can't use it.
    """

    name: str
    kind: Kind
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name) or len(self.public) != _PUBLIC_SIZES[self.kind]:
            raise InputError(
                "this is no key of a log or witness.", hint="copy the whole line that names it"
            )
        self._verifier()

    @property
    def id(self) -> bytes:
        """Four bytes that tell it from other keys of the same name."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return sha256(named).digest()[:_ID_SIZE]

    @property
    def text(self) -> str:
        """The key as people pass it on, a `vkey`."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"

    def verify(self, text: str, signature: bytes) -> int | None:
        """When a note's text was signed, in seconds of POSIX; None where its kind says no time.

        Raises:
            IntegrityError: it is not this key's signature of this text.
        """
        at = int.from_bytes(signature[:8], "big") if self.kind.timed else None
        try:
            self._verifier().verify(
                signature[8:] if self.kind.timed else signature, _message(self, text, at or 0)
            )
        except InvalidSignature:
            raise refused(f"the signature of {self.name} is not one of this text.") from None
        return at

    def _verifier(self) -> Ed25519PublicKey | MLDSA44PublicKey:
        made = MLDSA44PublicKey if self.kind is Kind.ML_DSA_44 else Ed25519PublicKey
        try:
            return made.from_public_bytes(self.public)
        except (UnsupportedAlgorithm, ValueError):
            raise InputError(
                "this key can't be used here.", hint="use a build of cryptography with ML-DSA-44"
            ) from None


def key(text: str) -> Key:
    """The key that a `vkey` is.

    Raises:
        InputError: it is none, or of a kind that is not known here.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        kind, public = (raw := from_base64(encoded))[:1], raw[1:]
        found = Key(name, Kind(int.from_bytes(kind, "big")), public)
    except (IntegrityError, ValueError):
        found = None
    if found is None or found.id.hex() != key_id:
        raise InputError(
            "this is no key of a log or witness.", hint="copy the whole line that names it"
        )
    return found


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key, as its seed of 32 bytes, and the name that it signs under.

    Owned by whoever keeps a log or is a witness. Holds the seed as long as it lives, and never
    shows it.
    """

    name: str
    kind: Kind
    seed: bytes

    @property
    def key(self) -> Key:
        """The public key."""
        return Key(self.name, self.kind, self._private().public_key().public_bytes_raw())

    def sign(self, text: str, at: int) -> Signature:
        """Sign a note's text. `at`: seconds of POSIX; without meaning where the kind has no time.

        Raises:
            IntegrityError: the text is no checkpoint, where the kind signs nothing else.
        """
        key = self.key
        signature = self._private().sign(_message(key, text, at))
        time = at.to_bytes(8, "big") if self.kind.timed else b""
        return Signature(self.name, key.id, time + signature)

    def _private(self) -> Ed25519PrivateKey | MLDSA44PrivateKey:
        if self.kind is Kind.ML_DSA_44:
            return MLDSA44PrivateKey.from_seed_bytes(self.seed)
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True)
class Signature:
    """A line under a note: who signed, the id of the key, and the signature with its time."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """As it stands in the note."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures: so far nothing but bytes."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def data(self) -> bytes:
        """The note as a file."""
        return f"{self.text}\n{''.join(one.line for one in self.signatures)}".encode()

    def verified(self, keys: Collection[Key]) -> dict[Key, int | None]:
        """Which of the keys signed it, and when.

        Raises:
            IntegrityError: a signature is said to be of one of the keys and is not.
        """
        known = {(one.name, one.id): one for one in keys}
        found: dict[Key, int | None] = {}
        for signature in self.signatures:
            one = known.get((signature.name, signature.key_id))
            if one is not None and one not in found:
                found[one] = one.verify(self.text, signature.signature)
        return found

    def lines_of(self, keys: Iterable[Key]) -> tuple[Signature, ...]:
        """The signatures by these keys, one of each: that which `verified` looks at, and none of
        those that somebody may have put below.
        """
        wanted = {(one.name, one.id) for one in keys}
        first: dict[tuple[str, bytes], Signature] = {}
        for one in self.signatures:
            if (one.name, one.key_id) in wanted:
                first.setdefault((one.name, one.key_id), one)
        return tuple(first.values())


def read(data: bytes) -> Note:
    """The note that a file holds.

    Raises:
        IntegrityError: it is none, or too large.
    """
    try:
        whole = data[: MOST_BYTES + 1].decode()
    except UnicodeDecodeError:
        raise refused("this is no note: it is not UTF-8.") from None
    text, blank, signed = whole.rpartition("\n\n")
    if len(data) > MOST_BYTES or not blank or not whole.endswith("\n"):
        raise refused("this is no note: no signatures stand under it, or it is too large.")
    if any(one < " " and one != "\n" for one in whole):
        raise refused("this is no note: it has control characters.")
    return Note(f"{text}\n", signatures(signed))


def signatures(lines: str) -> tuple[Signature, ...]:
    """Signature lines, each ending in a newline: under a note, or in a witness's answer.

    Raises:
        IntegrityError: one is none, or they are too many or none at all.
    """
    *each, last = lines.split("\n")
    if last or not 0 < len(each) <= MOST_SIGNATURES:
        raise refused(f"there are no signatures, or more than {MOST_SIGNATURES}.")
    return tuple(_signature(line) for line in each)


def signed(text: str, signers: Iterable[Signer], at: int) -> Note:
    """A note with signatures, made at `at` (seconds of POSIX)."""
    return Note(text, tuple(one.sign(text, at) for one in signers))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    raw = from_base64(encoded)
    if not line.startswith(_DASH) or not _is_name(name) or len(raw) <= _ID_SIZE:
        raise refused("a line under a note is no signature.")
    return Signature(name, raw[:_ID_SIZE], raw[_ID_SIZE:])


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text))


def _message(key: Key, text: str, at: int) -> bytes:
    """The bytes that are signed."""
    if key.kind is Kind.ED25519:
        return text.encode()
    if not 0 <= at <= _LAST_TIME:
        raise refused("a cosignature's time is too far off.")
    checkpoint = checkpoints.read(text)
    if key.kind is Kind.COSIGNATURE:
        return f"cosignature/v1\ntime {at}\n{text}".encode()
    if checkpoint.extensions:
        raise refused("the checkpoint has lines that ML-DSA-44 does not cover.")
    named = (_short(key.name), at.to_bytes(8, "big"), _short(checkpoint.origin))
    range_ = bytes(8) + checkpoint.size.to_bytes(8, "big") + checkpoint.root_hash
    return b"subtree/v1\n\0" + b"".join(named) + range_


def _short(text: str) -> bytes:
    """A text of 1 to 255 bytes, with its length."""
    raw = text.encode()
    if len(raw) > 255:
        raise refused("a name is over 255 bytes.")
    return bytes([len(raw)]) + raw
