"""A log of twenty leaves with two histories, and what it asks a witness."""

from __future__ import annotations

from collections.abc import Sequence

from bailee.ledger.tlog import notes, tree
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer
from bailee.ledger.tlog.witnessing import Request

LOG = Signer("log.example/one", Kind.ED25519, bytes(32))
OTHER = Signer("log.example/two", Kind.ED25519, bytes([1]) * 32)
LEAVES = [tree.leaf_hash(bytes([n])) for n in range(20)]
FORK = [*LEAVES[:9], *LEAVES[10:]]
AT = 1_800_000_000


def request(
    old: int, new: int, *, leaves: Sequence[bytes] = LEAVES, signer: Signer = LOG
) -> Request:
    """What a log asks that has grown from one size to another."""

    def nodes(wanted: Sequence[tree.TreeNode]) -> list[bytes]:
        return [tree.root(leaves[n << level : (n + 1) << level]) for level, n in wanted]

    text = Checkpoint(LOG.name, new, tree.root(leaves[:new])).text
    hashes = tree.consistency(old, new, nodes) if old <= new else ()
    return Request(old, tuple(hashes), notes.signed(text, [signer], AT))
