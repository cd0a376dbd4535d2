"""The Merkle tree of RFC 6962, section 2.1: its root, and proofs about it.

Pure.

Rules kept here:

* A hash is 32 bytes and a size at most 2^63 - 1, in whatever is verified.
* Whatever a verifier is given, it returns or raises `IntegrityError`; it does at most 63 steps.
* The empty tree proves nothing, and nothing is to be proved of it: a consistency proof from size 0
  is empty, and so is one between equal sizes.

A tree is read as its *whole* nodes, those whose leaves are all there: `TreeNode(level, number)`
covers the leaves from `number << level` up to `(number + 1) << level`, and never changes. Whatever
else has a hash is folded from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from itertools import islice
from typing import Final, NamedTuple

from bailee.errors import InputError, IntegrityError

HASH_SIZE: Final = 32
MOST_LEAVES: Final = (1 << 63) - 1
EMPTY_ROOT: Final = sha256(b"").digest()


class TreeNode(NamedTuple):
    """A node all of whose `1 << level` leaves are there; leaves are of level 0."""

    level: int
    number: int


Read = Callable[[Sequence[TreeNode]], Sequence[bytes]]
"""The hashes of nodes, in the order asked. All that a proof needs is asked at once."""


def refused(what: str) -> IntegrityError:
    """What is raised where something of a log is not as it must be."""
    return IntegrityError(
        what, hint="get it anew from the log; refused again, the log or this copy of it was changed"
    )


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(some: Iterable[bytes]) -> list[bytes]:
    """The same of many, in less time."""
    return [sha256(b"\x00" + data).digest() for data in some]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over the hashes of its two children."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of the tree whose leaves have these hashes."""
    return Frontier().grown(leaf_hashes).root()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree's right edge: all that is needed to append, and to know the root.

    `edge`: the hashes of the largest whole nodes, from left to right, one for each bit that is set
    in `size`. A value: growing makes another, so a batch that is not committed leaves no trace.

    Raises:
        IntegrityError: the edge is not one of this size.
    """

    size: int = 0
    edge: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        _demand_hashes(self.edge)
        if not 0 <= self.size <= MOST_LEAVES or len(self.edge) != self.size.bit_count():
            raise refused("the tree's edge is not one of its size.")

    def grown(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The tree with more leaves, each given by its hash.

        Raises:
            IntegrityError: one is not 32 bytes.
        """
        return self.grown_by(leaf_hashes)[0]

    def grown_by(self, leaf_hashes: Iterable[bytes]) -> tuple[Frontier, list[list[bytes]]]:
        """The same, and what came with it: for each level, the leaves' first, the hashes of the
        nodes that are whole now and were not, which are those from `size >> level` on.

        Raises:
            IntegrityError: one is not 32 bytes.
        """
        hashes = list(leaf_hashes)
        _demand_hashes(hashes)
        kept, came = [*self.edge], list[list[bytes]]()
        size, right, level = self.size + len(hashes), [], 0
        while size >> level:
            came.append(hashes)
            if self.size >> level & 1:  # the left end of this level is the edge's
                hashes = [kept.pop(), *hashes]
            if len(hashes) & 1:
                right.append(hashes[-1])
            pairs = iter(hashes)
            hashes = [
                sha256(b"\x01" + left + other).digest()
                for left, other in zip(pairs, pairs, strict=False)  # an odd one is in no pair
            ]
            level += 1
        return Frontier(size, tuple(reversed(right))), came

    def root(self) -> bytes:
        """The root hash."""
        return _folded(self.edge) if self.edge else EMPTY_ROOT


def frontier(size: int, read: Read) -> Frontier:
    """The right edge of the tree of `size`, read from its nodes."""
    return Frontier(size, tuple(read([*_whole_nodes(0, size)])))


def inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size`: from its sibling up.

    Raises:
        InputError: the tree has no such leaf.
    """
    if not 0 <= index < size <= MOST_LEAVES:
        raise InputError(
            f"a log of {size} has no entry {index}.", hint="entries are counted from 0"
        )
    return _read_ranges(_siblings(index, size), read)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """Return if the leaf with the hash `leaf` stands at `index` in the tree of `size`.

    Raises:
        IntegrityError: this proof does not show it.
    """
    if not 0 <= index < size <= MOST_LEAVES:
        raise refused("the entry's place is outside of the log.")
    siblings = _siblings(index, size)
    _demand_proof(proof, len(siblings), leaf, root_hash)
    found = leaf
    for (start, _), other in zip(siblings, proof, strict=True):
        found = node_hash(other, found) if start < index else node_hash(found, other)
    if not compare_digest(found, root_hash):
        raise refused("the entry is not in the log as the checkpoint has it.")


def consistency(old: int, new: int, read: Read) -> list[bytes]:
    """The proof that the tree of size `new` begins with the one of size `old`.

    Raises:
        InputError: the first is not the smaller.
    """
    if not 0 <= old <= new <= MOST_LEAVES:
        raise InputError(
            f"a log of {new} can't have grown from one of {old}.",
            hint="give the smaller size first",
        )
    return _read_ranges(_between(old, new), read)


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Return if the tree of size `new` begins with the one of size `old`.

    Raises:
        IntegrityError: this proof does not show it.
    """
    if not 0 <= old <= new <= MOST_LEAVES:
        raise refused("the log has become smaller.")
    ranges = _between(old, new)
    _demand_proof(proof, len(ranges), old_root, new_root)
    if old == 0:
        before, after = EMPTY_ROOT, EMPTY_ROOT if new == 0 else new_root
    else:
        steps = [*zip(ranges, proof, strict=True)]
        if not steps or steps[0][0][0] == old:  # the old tree is itself a node of the new one
            steps.insert(0, ((0, old), old_root))
        before = after = steps[0][1]
        for (start, _), other in steps[1:]:
            after = node_hash(other, after) if start < old else node_hash(after, other)
            before = node_hash(other, before) if start < old else before
    if not compare_digest(before, old_root) or not compare_digest(after, new_root):
        raise refused("the log is not the one that it was, with more at its end.")


def _split(start: int, end: int) -> int:
    """Where the node over these leaves has its left child's end: after a power of two of them."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves under each sibling of the way from a leaf up to the root."""
    start, end, found = 0, size, []
    while end - start > 1:
        middle = _split(start, end)
        found.append((middle, end) if index < middle else (start, middle))
        start, end = (start, middle) if index < middle else (middle, end)
    return found[::-1]


def _between(old: int, new: int) -> list[tuple[int, int]]:
    """The leaves under each hash of a consistency proof (RFC 6962, 2.1.2)."""
    if old == 0:
        return []
    start, end, found = 0, new, []
    while end != old:
        middle = _split(start, end)
        found.append((middle, end) if old <= middle else (start, middle))
        start, end = (start, middle) if old <= middle else (middle, end)
    if start:
        found.append((start, end))
    return found[::-1]


def _whole_nodes(start: int, end: int) -> Iterator[TreeNode]:
    """The largest whole nodes that cover the leaves of a node, from left to right."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield TreeNode(level, start >> level)
        start += 1 << level


def _read_ranges(ranges: Sequence[tuple[int, int]], read: Read) -> list[bytes]:
    """The hash of the node over each of the ranges."""
    nodes = [[*_whole_nodes(start, end)] for start, end in ranges]
    hashes = iter(read([node for under in nodes for node in under]))
    return [_folded([*islice(hashes, len(under))]) for under in nodes]


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The hash of the node over whole nodes that stand beside each other, the larger first."""
    found = hashes[-1]
    for left in hashes[-2::-1]:
        found = node_hash(left, found)
    return found


def _demand_proof(proof: Sequence[bytes], length: int, *hashes: bytes) -> None:
    if len(proof) != length:
        raise refused(f"the proof has {len(proof)} hashes where the sizes demand {length}.")
    _demand_hashes([*proof, *hashes])


def _demand_hashes(hashes: Sequence[bytes]) -> None:
    if {*map(len, hashes)} - {HASH_SIZE}:
        raise refused("a hash is not 32 bytes.")
