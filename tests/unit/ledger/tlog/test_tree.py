"""The Merkle tree, against one written from the RFC's definition, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError, IntegrityError
from bailee.ledger.tlog import tree
from bailee.ledger.tlog.tree import Frontier, TreeNode

LEAVES = [tree.leaf_hash(bytes([n % 256, n // 256])) for n in range(600)]
SIZES = st.integers(0, len(LEAVES))


@cache
def defined(start: int, end: int) -> bytes:
    """MTH of RFC 6962, section 2.1, over some of LEAVES."""
    if end - start < 2:
        return LEAVES[start] if start < end else sha256(b"").digest()
    split = start + (1 << (end - start - 1).bit_length() - 1)
    return sha256(b"\x01" + defined(start, split) + defined(split, end)).digest()


def path(index: int, start: int, end: int) -> list[bytes]:
    """PATH of section 2.1.1."""
    if end - start == 1:
        return []
    split = start + (1 << (end - start - 1).bit_length() - 1)
    if index < split:
        return [*path(index, start, split), defined(split, end)]
    return [*path(index, split, end), defined(start, split)]


def subproof(old: int, start: int, end: int, whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if old == end:
        return [] if whole else [defined(start, end)]
    split = start + (1 << (end - start - 1).bit_length() - 1)
    if old <= split:
        return [*subproof(old, start, split, whole), defined(split, end)]
    return [*subproof(old, split, end, False), defined(start, split)]


def read(nodes: Sequence[TreeNode]) -> list[bytes]:
    """Nodes of the tree over LEAVES."""
    return [defined(one.number << one.level, (one.number + 1) << one.level) for one in nodes]


def flipped(one: bytes) -> bytes:
    """A hash with one bit changed."""
    return bytes([one[0] ^ 1]) + one[1:]


@given(st.lists(SIZES, max_size=6).map(sorted))
def test_a_frontier_has_the_defined_root_whatever_the_batches_were(sizes: list[int]) -> None:
    """Growing by any batches gives the RFC's root at each size, and the edge can be read back."""
    grown = Frontier()
    for size in sizes:
        grown = grown.grown(LEAVES[grown.size : size])
        assert (size, defined(0, size)) == (grown.size, grown.root())
        assert tree.frontier(size, read) == grown


@given(SIZES.filter(bool).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_an_inclusion_proof_is_the_defined_one_and_verifies(place: tuple[int, int]) -> None:
    """The proof is the RFC's PATH; it shows this leaf, and a changed bit in any hash is refused."""
    index, size = place
    root = defined(0, size)
    proof = tree.inclusion(index, size, read)

    assert path(index, 0, size) == proof
    tree.verify_inclusion(LEAVES[index], index, size, proof, root)
    given_ = [LEAVES[index], root, *proof]
    for changed in range(len(given_)):
        leaf, top, *rest = [flipped(h) if n == changed else h for n, h in enumerate(given_)]
        with pytest.raises(IntegrityError):
            tree.verify_inclusion(leaf, index, size, rest, top)


@given(st.tuples(SIZES, SIZES).map(sorted))
def test_a_consistency_proof_is_the_defined_one_and_verifies(sizes: list[int]) -> None:
    """The proof is the RFC's SUBPROOF; a changed bit in a hash of it or in a root is refused."""
    old, new = sizes
    roots = [defined(0, old), defined(0, new)]
    proof = tree.consistency(old, new, read)

    assert (subproof(old, 0, new, True) if old else []) == proof
    tree.verify_consistency(old, new, proof, roots[0], roots[1])
    given_ = [*roots, *proof]
    for changed in range(0 if old else 2, len(given_)):
        first, second, *rest = [flipped(h) if n == changed else h for n, h in enumerate(given_)]
        with pytest.raises(IntegrityError):
            tree.verify_consistency(old, new, rest, first, second)
    with pytest.raises(IntegrityError):
        tree.verify_consistency(old, new, proof, flipped(roots[0]), roots[1])


@given(
    st.integers(-1, 2**64),
    st.integers(-1, 2**64),
    st.lists(st.binary(max_size=33) | st.just(bytes(32)), max_size=70),
)
def test_rubbish_is_refused_by_name(first: int, second: int, proof: list[bytes]) -> None:
    """No index, size or hash makes a verifier raise anything but `IntegrityError`."""
    with pytest.raises(IntegrityError):
        tree.verify_inclusion(LEAVES[0], first, second, proof, LEAVES[1])
    with pytest.raises(IntegrityError):
        tree.verify_consistency(first, second, proof, LEAVES[0], LEAVES[1])


def test_what_is_no_hash_does_not_come_into_a_tree() -> None:
    """A leaf hash or an edge of another length is refused, and an edge of another size."""
    with pytest.raises(IntegrityError):
        Frontier().grown([b"short"])
    with pytest.raises(IntegrityError):
        Frontier(1, (b"short",))
    with pytest.raises(IntegrityError):
        Frontier(3, (LEAVES[0],))


def test_nothing_is_proved_of_what_is_not_there() -> None:
    """A proof about an entry, or a smaller log, that there is not, is the asker's mistake."""
    with pytest.raises(InputError):
        tree.inclusion(3, 3, read)
    with pytest.raises(InputError):
        tree.consistency(4, 3, read)
