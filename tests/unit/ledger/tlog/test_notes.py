"""Signed notes, cosignatures and checkpoints: the published examples, and whatever else is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.ledger.tlog import checkpoints, notes, tree
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer

# The example of golang.org/x/mod/sumdb/note.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
).encode()

CHECKPOINT = Checkpoint("log.example/one", 1234, tree.leaf_hash(b"some root"))
SIGNERS = [Signer("log.example/one", kind, bytes([kind]) * 32) for kind in Kind]
AT = 1_800_000_000
NOTE = notes.signed(CHECKPOINT.text, SIGNERS, AT)


def test_the_published_note_verifies() -> None:
    """Go's own example is a note of its key, and comes out as it went in."""
    key = notes.key(PUBLISHED_KEY)
    note = notes.read(PUBLISHED)

    assert {key: None} == note.verified([key])
    assert PUBLISHED == note.data
    assert PUBLISHED_KEY == key.text


def test_every_kind_signs_and_says_when() -> None:
    """A log's signature in each kind is found by its key; a cosignature says its time."""
    note = notes.read(NOTE.data)

    found = note.verified([one.key for one in SIGNERS])
    assert [None, AT, AT] == list(found.values())
    assert {} == note.verified([Signer("log.example/one", Kind.ED25519, bytes(32)).key])
    assert [one.key for one in SIGNERS] == [notes.key(one.key.text) for one in SIGNERS]


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.kind.name)
@pytest.mark.parametrize("place", [4, 5, 11, 12, -1])
def test_a_signature_that_does_not_fit_spoils_the_note(signer: Signer, place: int) -> None:
    """A bit of the signature or of its time, of one key among others that fit."""
    signature = signer.sign(CHECKPOINT.text, AT)
    raw = bytearray(signature.key_id + signature.signature)
    raw[place] ^= 1
    broken = notes.Signature(signature.name, bytes(raw[:4]), bytes(raw[4:]))
    note = notes.Note(NOTE.text, (broken, *NOTE.signatures))

    with pytest.raises(IntegrityError):
        note.verified([one.key for one in SIGNERS])


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.kind.name)
def test_a_signature_is_of_one_text(signer: Signer) -> None:
    """It fits neither another size, nor another root, nor another origin."""
    signature = signer.sign(CHECKPOINT.text, AT)
    for other in (
        Checkpoint(CHECKPOINT.origin, 1235, CHECKPOINT.root_hash),
        Checkpoint(CHECKPOINT.origin, 1234, tree.EMPTY_ROOT),
        Checkpoint("log.example/two", 1234, CHECKPOINT.root_hash),
    ):
        with pytest.raises(IntegrityError):
            notes.Note(other.text, (signature,)).verified([signer.key])


def test_lines_of_the_logs_own_are_cosigned_where_they_are_covered() -> None:
    """Ed25519 covers a checkpoint's further lines; ML-DSA-44 does not, and so signs none."""
    text = Checkpoint(*("log.example/one", 1, tree.EMPTY_ROOT), extensions=("more",)).text
    _, ed25519, ml_dsa = SIGNERS
    notes.signed(text, [ed25519], AT).verified([ed25519.key])
    with pytest.raises(IntegrityError):
        notes.Note(text.replace("more", "less"), (ed25519.sign(text, AT),)).verified([ed25519.key])
    with pytest.raises(IntegrityError):
        ml_dsa.sign(text, AT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        PUBLISHED[:-1],
        PUBLISHED.replace(b"\n\n", b"\n"),
        PUBLISHED.replace("— ".encode(), b"- "),
        PUBLISHED.replace(b"PeterNeumann", b"Peter+Neumann"),
        PUBLISHED.replace(b"PeterNeumann", b""),
        PUBLISHED.replace(b"JnAM=", b"JnAN="),
        PUBLISHED.replace(b"JnAM=", b"JnAM"),
        PUBLISHED.replace(b"problem,", b"problem,\r"),
        PUBLISHED.replace(b"problem,", b"problem,\xff"),
        PUBLISHED + PUBLISHED.splitlines(keepends=True)[-1] * 64,
        b"text\n" * 60_000 + PUBLISHED,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    """Cut, joined, in another encoding, with another base64 of the same bytes, or too large."""
    with pytest.raises(IntegrityError):
        notes.read(data)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_rubbish_is_refused_by_name(data: bytes) -> None:
    """Whatever bytes are read as a note or key, nothing but a named error comes of it."""
    for read in (
        lambda: notes.read(data).verified([one.key for one in SIGNERS]),
        lambda: notes.read(PUBLISHED + "— log.example/one ".encode() + data + b"\n"),
        lambda: notes.key(data.decode(errors="replace")),
        lambda: checkpoints.read(data.decode(errors="replace")),
        *(lambda key=one.key: key.verify(CHECKPOINT.text, data) for one in SIGNERS),
    ):
        try:
            read()
        except BaileeError as refused:
            assert refused.hint


@pytest.mark.parametrize(
    "text",
    [
        PUBLISHED_KEY.replace("c74f20a3", "c74f20a4"),
        PUBLISHED_KEY.replace("Peter", "Paul"),
        PUBLISHED_KEY.replace("+ARpc", "+AhpC"),
        PUBLISHED_KEY[:-4],
        "name+00000000+",
        "",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """Another id, another name, another kind, a part."""
    with pytest.raises(InputError):
        notes.key(text)


def test_a_checkpoint_comes_out_as_it_went_in() -> None:
    """Its text is its three lines, and lines of the log's own after them."""
    for one in (
        CHECKPOINT,
        Checkpoint("o", 0, tree.EMPTY_ROOT),
        Checkpoint("o", 1, bytes(32), ("x",)),
    ):
        assert one == checkpoints.read(one.text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1234", "01234"),
        ("1234", "+1234"),
        ("1234", "9223372036854775808"),
        ("1234", "1２34"),
        ("1234", "0"),
        ("log.example/one\n", ""),
        ("=\n", "=\n\n"),
        ("=\n", "="),
        ("=\n", "\n"),
    ],
)
def test_what_is_no_checkpoint_is_refused(old: str, new: str) -> None:
    """A size written otherwise, an empty log with a root, a line too few, an empty line."""
    with pytest.raises(IntegrityError):
        checkpoints.read(CHECKPOINT.text.replace(old, new))
