"""The name and keys with which a home signs its tree, and whose checkpoint a note is.

Pure.

A home signs in two kinds, under one name: with Ed25519, which every client of a log understands,
and with ML-DSA-44, which a quantum computer can't forge (C2SP tlog-checkpoint). Either is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from bailee.ledger.tlog import notes
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Key, Kind, Signer
from bailee.ledger.tlog.tree import Frontier
from bailee.ledger.tlog.trust import NONE, Trust

SECRETS: Final = {Kind.ED25519: "ledger/signing", Kind.ML_DSA_44: "ledger/signing/ml-dsa-44"}
"""The keyring's named secrets that are the private keys, 32 bytes each."""
ANYBODY: Final = Trust((), {}, {}, NONE, {})
"""The policy that asks for no witness, and knows no log."""


def signers(home_id: str, secret: Callable[[str], bytes]) -> tuple[Signer, ...]:
    """A home's signers. Their name is the log's origin, the same for ever."""
    return tuple(Signer(f"bailee/{home_id}", kind, secret(of)) for kind, of in SECRETS.items())


def signed(by: Collection[Signer], tree: Frontier) -> bytes:
    """The checkpoint of a tree as a signed note. Where a signature has a time it is 0: who says
    when this was the largest tree is a witness.
    """
    (name,) = {one.name for one in by}
    return notes.signed(Checkpoint(name, tree.size, tree.root()).text, by, 0).data


def trusting(keys: Collection[Key], policy: Trust = ANYBODY) -> Trust:
    """The policy that believes what the log with one of these keys has signed, and that the
    witnesses of `policy` have seen.
    """
    return replace(policy, logs=tuple(keys))


def opened(note: bytes, trust: Trust) -> Checkpoint:
    """The checkpoint that a note is, if it may be believed.

    Raises:
        IntegrityError: it is none, was changed, somebody else signed it, or witnesses are missing.
    """
    return trust.opened(notes.read(note)).checkpoint
