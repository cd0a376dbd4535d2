"""The name and key with which a home signs its tree, and whose checkpoint a note is.

Pure.
"""

from __future__ import annotations

from typing import Final

from bailee.ledger.tlog import notes
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Key, Kind, Signer
from bailee.ledger.tlog.tree import Frontier
from bailee.ledger.tlog.trust import NONE, Trust

NAME: Final = "ledger/signing"
"""The keyring's named secret that is the private key, 32 bytes."""


def signer(home_id: str, seed: bytes) -> Signer:
    """A home's signer. Its name is the log's origin, the same for ever."""
    return Signer(f"bailee/{home_id}", Kind.ED25519, seed)


def signed(by: Signer, tree: Frontier) -> bytes:
    """The checkpoint of a tree as a signed note."""
    text = Checkpoint(by.name, tree.size, tree.root()).text
    return notes.signed(text, [by], 0).data


def trusting(key: Key) -> Trust:
    """The policy that believes whatever the log with this key has signed."""
    return Trust((key,), {}, {}, NONE, {})


def opened(note: bytes, key: Key) -> Checkpoint:
    """The checkpoint that a note is, if the log with this key signed it.

    Raises:
        IntegrityError: it is none, was changed, or somebody else signed it.
    """
    return trusting(key).opened(notes.read(note)).checkpoint
