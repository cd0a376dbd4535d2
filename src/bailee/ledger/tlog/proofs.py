"""That an entry is in a log, in one file that needs nobody's server (C2SP tlog-proof).

Pure.

Rules kept here:

* A proof shows that an entry stands at its index in the log whose checkpoint it brings. Whether the
  checkpoint may be believed is said by a trust policy, never by the proof.
* `extra` is covered by nothing. What lies there here is a salt, and what the entry is about behind
  it: with others the entry, which is the commitment to both, is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bailee.ledger.tlog import notes
from bailee.ledger.tlog.checkpoints import decimal, from_base64, hash_of, to_base64
from bailee.ledger.tlog.notes import Note
from bailee.ledger.tlog.tree import leaf_hash, refused, verify_inclusion
from bailee.ledger.tlog.trust import Trust, Trusted

SUFFIX: Final = ".tlog-proof"
MOST_BYTES: Final = notes.MOST_BYTES + 64 * 1024
_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """Where an entry stands, the hashes from its sibling up, and a checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    @property
    def data(self) -> bytes:
        """The proof as a file."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines += [f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.data

    def verify(self, entry: bytes, trust: Trust) -> Trusted:
        """Return what is believed of the log if `entry` stands there.

        Raises:
            IntegrityError: this proof does not show it to who trusts these.
        """
        trusted = trust.opened(self.checkpoint)
        size, root_hash = trusted.checkpoint.size, trusted.checkpoint.root_hash
        verify_inclusion(leaf_hash(entry), self.index, size, self.hashes, root_hash)
        return trusted


def read(data: bytes) -> Proof:
    """The proof that a file holds.

    Raises:
        IntegrityError: it is none, or too large.
    """
    head, blank, note = data[: MOST_BYTES + 1].partition(b"\n\n")
    try:
        first, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        first, lines = "", []
    if len(data) > MOST_BYTES or not blank or first != _HEADER:
        raise refused("this is no proof of c2sp.org/tlog-proof@v1.")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise refused("the proof says no index.")
    index = decimal(lines.pop(0).removeprefix("index "))
    return Proof(index, tuple(map(hash_of, lines)), notes.read(note), extra)
