"""Proof files: what they show to whom, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import BaileeError, IntegrityError
from bailee.ledger.tlog import notes, proofs, tree, trust
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer
from bailee.ledger.tlog.proofs import Proof

LOG = Signer("log.example/one", Kind.ED25519, bytes(32))
POLICY = trust.read(f"log {LOG.key.text}\nquorum none\n".encode())
ENTRIES = [bytes([n]) * 32 for n in range(13)]
HASHES = [tree.leaf_hash(one) for one in ENTRIES]
NOTE = notes.signed(Checkpoint(LOG.name, 13, tree.root(HASHES)).text, [LOG], 0)


def proof_of(index: int) -> Proof:
    """The proof of an entry, with a salt."""

    def read(nodes: list[tree.TreeNode]) -> list[bytes]:
        return [tree.root(HASHES[n << level : (n + 1) << level]) for level, n in nodes]

    return Proof(index, tuple(tree.inclusion(index, 13, read)), NOTE, b"salt")


def test_a_proof_shows_its_entry_alone() -> None:
    """Each entry is shown by its own proof, read back from its file, and by no other's."""
    for index, entry in enumerate(ENTRIES):
        proof = proofs.read(proof_of(index).data)
        assert proof_of(index) == proof
        assert 13 == proof.verify(entry, POLICY).checkpoint.size
        with pytest.raises(IntegrityError):
            proof.verify(ENTRIES[index - 1], POLICY)


def test_the_file_is_that_of_the_specification() -> None:
    """Header, extra, index, hashes, an empty line, and the checkpoint as it is."""
    first, second = HASHES[:2]
    proof = Proof(5, (first, second), NOTE)
    as_text = "\n".join(
        ["c2sp.org/tlog-proof@v1", "index 5", *map(tree_text, (first, second)), "", ""]
    )
    assert as_text.encode() + NOTE.data == proof.data
    assert (
        proof.data.replace(b"index", b"extra c2FsdA==\nindex") == replace(proof, extra=b"salt").data
    )
    assert b"extra \n" in replace(proof, extra=b"").data
    assert replace(proof, extra=b"") == proofs.read(replace(proof, extra=b"").data)


def tree_text(one: bytes) -> str:
    """A hash as C2SP writes it."""
    return proofs.to_base64(one)


GOOD = proof_of(6).data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"proof@v1", b"proof@v2"),
        (b"c2sp.org/tlog-proof@v1\n", b""),
        (b"extra c2FsdA==", b"extra c2FsdA"),
        (b"extra c2FsdA==\nindex 6\n", b"index 6\nextra c2FsdA==\n"),
        (b"index 6", b"index 06"),
        (b"index 6", b"index -6"),
        (b"index 6", b"index six"),
        (b"index 6", b"index 9223372036854775808"),
        (b"index 6\n", b""),
        (b"index 6\n", b"index 6\nc2hvcnQ=\n"),
        (b"\n\n", b"\n"),
        (b"\n\n", b"\n\n\n"),
        (b"\n\n", b"\n\xff\n\n"),
        (b"index 6\n", b"index 6\n" + b"A" * 400_000 + b"\n"),
    ],
)
def test_what_is_no_proof_is_refused(old: bytes, new: bytes) -> None:
    """Another version, other order, a number written otherwise, a line too few, too large."""
    assert old in GOOD
    with pytest.raises(IntegrityError):
        proofs.read(GOOD.replace(old, new, 1)).verify(ENTRIES[6], POLICY)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_byte_of_a_proof_can_be_another(place: int, change: int) -> None:
    """But for the salt, which the entry is made with, every byte counts."""
    data = bytearray(GOOD)
    data[place] ^= change
    try:
        proof = proofs.read(bytes(data))
        proof.verify(ENTRIES[6], POLICY)
    except BaileeError as refused:
        assert isinstance(refused, IntegrityError)
    else:
        assert b"salt" != proof.extra


@given(st.binary(max_size=300))
def test_rubbish_is_refused_by_name(data: bytes) -> None:
    """Whatever the bytes, nothing but a named error comes of them."""
    for one in (data, b"c2sp.org/tlog-proof@v1\n" + data, GOOD[:40] + data):
        with pytest.raises(IntegrityError):
            proofs.read(one).verify(ENTRIES[6], POLICY)
