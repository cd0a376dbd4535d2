"""What a log says of itself at one size (C2SP tlog-checkpoint), and how these texts write values.

Pure.

Every format of C2SP writes numbers and bytes in one way alone: decimals without leading zeroes,
base64 with its padding. Whatever could be written otherwise is refused, so that two texts that
differ never say the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from bailee.ledger.tlog.tree import EMPTY_ROOT, HASH_SIZE, MOST_LEAVES, refused

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's origin, how many entries it has, and the root over them.

    `extensions`: further lines of the log's own. Ours has none, since nobody can check them.
    """

    origin: str
    size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        lines = self.origin, str(self.size), to_base64(self.root_hash), *self.extensions
        return "".join(f"{line}\n" for line in lines)


def read(text: str) -> Checkpoint:
    """The checkpoint that a note's text is.

    Raises:
        IntegrityError: it is none.
    """
    *lines, last = text.split("\n")
    if last or len(lines) < 3 or not all(lines):
        raise refused("this is no checkpoint: it has not three lines or more.")
    origin, size, root_hash, *extensions = lines
    found = Checkpoint(origin, decimal(size), hash_of(root_hash), tuple(extensions))
    if found.size == 0 and found.root_hash != EMPTY_ROOT:
        raise refused("the checkpoint is of an empty log and its root is not.")
    return found


def decimal(text: str) -> int:
    """A size or an index.

    Raises:
        IntegrityError: it is none, or too large.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MOST_LEAVES:
        raise refused("a number is not written as it must be, or is too large.")
    return int(text)


def hash_of(text: str) -> bytes:
    """A hash, from base64.

    Raises:
        IntegrityError: it is none.
    """
    found = from_base64(text)
    if len(found) != HASH_SIZE:
        raise refused("a hash is not 32 bytes.")
    return found


def from_base64(text: str) -> bytes:
    """Bytes, from base64 (RFC 4648, section 4).

    Raises:
        IntegrityError: it is none, or not in the one form that these bytes have.
    """
    try:
        found = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise refused("something is not base64.") from None
    if to_base64(found) != text:
        raise refused("something is not base64 as it must be written.")
    return found


def to_base64(data: bytes) -> str:
    """Base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()
