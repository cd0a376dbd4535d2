"""Trust policies: who must have signed and cosigned, and what is no policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError, IntegrityError
from bailee.ledger.tlog import notes, tree, trust
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer

ORIGIN = "log.example/one"
LOG, LOG_LATER = (Signer(ORIGIN, kind, bytes(32)) for kind in (Kind.ED25519, Kind.ML_DSA_44))
ONE, TWO, THREE = (Signer(f"w{n}.example", Kind.COSIGNATURE, bytes([n]) * 32) for n in (1, 2, 3))
THREE_LATER = Signer("w3.example", Kind.ML_DSA_44, bytes([3]) * 32)
TEXT = Checkpoint(ORIGIN, 7, tree.leaf_hash(b"")).text

NESTED = f"""# who is asked
log {LOG.key.text} https://log.example/one
log  {LOG_LATER.key.text}
\twitness one {ONE.key.text} https://w1.example/

witness two\t{TWO.key.text}
witness three {THREE.key.text}
witness three-later {THREE_LATER.key.text}
group third any three three-later
group others 1 two third
group both all one others
quorum both
"""


@pytest.mark.parametrize(
    ("signers", "believed"),
    [
        ([LOG, ONE, TWO], True),
        ([LOG_LATER, ONE, THREE_LATER], True),
        ([LOG, LOG_LATER, ONE, TWO, THREE], True),
        ([LOG, ONE], False),
        ([LOG, TWO, THREE, THREE_LATER], False),
        ([ONE, TWO], False),
        ([Signer(ORIGIN, Kind.ED25519, bytes([9]) * 32), ONE, TWO], False),
        ([LOG, ONE, Signer("w2.example", Kind.COSIGNATURE, bytes([9]) * 32)], False),
        ([LOG, ONE, Signer("w2.example", Kind.ED25519, bytes([2]) * 32)], False),
    ],
)
def test_a_quorum_is_what_the_policy_says(signers: list[Signer], believed: bool) -> None:
    """The log and so many of the named witnesses, by their own keys and kinds of signature."""
    policy = trust.read(NESTED.encode())
    note = notes.signed(TEXT, signers, 1_800_000_000)

    if believed:
        found = policy.opened(note)
        assert TEXT == found.checkpoint.text
        assert {1_800_000_000} == {*found.cosigned.values()}
    else:
        with pytest.raises(IntegrityError):
            policy.opened(note)


def test_a_log_speaks_for_its_own_origin() -> None:
    """A trusted log's key under another log's checkpoint is not believed."""
    other = Signer("log.example/two", Kind.ED25519, bytes([7]) * 32)
    policy = trust.read(f"log {other.key.text}\nquorum none\n".encode())

    with pytest.raises(IntegrityError):
        policy.opened(notes.signed(TEXT, [other], 0))


def test_without_witnesses_the_log_is_enough() -> None:
    """`quorum none` asks for no cosignature; addresses are kept by key."""
    policy = trust.read(f"quorum none\nlog {LOG.key.text} https://log.example/".encode())

    assert {} == policy.opened(notes.signed(TEXT, [LOG], 0)).cosigned
    assert {LOG.key: "https://log.example/"} == policy.urls


def test_names_are_bytes() -> None:
    """A name that is not UTF-8 is a name, and no other that looks like it."""
    line = f"witness K\udc80 {ONE.key.text}\nquorum K".encode("utf-8", "surrogateescape")
    assert "K\udc80" == trust.read(line + b"\x80\n").quorum
    with pytest.raises(InputError):
        trust.read(line + b"\n")


W = f"witness w {ONE.key.text}\n"
V = f"witness v {TWO.key.text}\n"
# The cases of transparency-dev/formats, policy/tlog_policy_test.go, and some besides.
NO_POLICIES = {
    "a control character": "quorum none\n\x01",
    "a carriage return": "quorum none\r\n",
    "an unknown keyword": "quibble w\nquorum none\n",
    "words after the address": W.replace("\n", " https://w/ # note\n") + "quorum w\n",
    "a log without a key": "log\nquorum none\n",
    "a log whose key is none": "log garbage\nquorum none\n",
    "a log's key of another kind": f"log {ONE.key.text}\nquorum none\n",
    "a log twice": f"log {LOG.key.text}\nlog {LOG.key.text} https://x/\nquorum none\n",
    "a witness without a key": "witness w\nquorum none\n",
    "a witness's key of another kind": f"witness w {LOG.key.text}\nquorum w\n",
    "a witness named none": W.replace(" w ", " none ") + "quorum none\n",
    "a name twice": W + V.replace(" v ", " w ") + "quorum w\n",
    "a group with a witness's name": W + "group w any w\nquorum w\n",
    "a group without members": W + "group g 1\nquorum w\n",
    "a group named none": W + "group none any w\nquorum none\n",
    "none of a group": W + "group g 0 w\nquorum g\n",
    "less than none of a group": W + "group g -1 w\nquorum g\n",
    "more than all of a group": W + "group g 2 w\nquorum g\n",
    "a number written otherwise": W + "group g 01 w\nquorum g\n",
    "an unknown member": W + "group g any x\nquorum g\n",
    "a member defined later": "group g any w\n" + W + "quorum g\n",
    "none as a member": W + "group g any none w\nquorum g\n",
    "itself as a member": W + "group g any w g\nquorum g\n",
    "a member twice": W + "group g all w w\nquorum g\n",
    "a member of two groups": W + V + "group g any w v\ngroup h any w\nquorum g\n",
    "no quorum": W,
    "two quorums": W + "quorum w\nquorum w\n",
    "an unknown quorum": "quorum x\n",
    "a quorum defined later": "quorum w\n" + W,
    "a quorum without a name": "quorum\n",
    "a key under two names": W
    + f"witness v {Signer('else', Kind.COSIGNATURE, ONE.seed).key.text}\nquorum w\n",
}


@pytest.mark.parametrize("text", NO_POLICIES.values(), ids=NO_POLICIES.keys())
def test_what_is_no_policy_is_refused(text: str) -> None:
    """Each thing that the specification forbids."""
    with pytest.raises(InputError) as refused:
        trust.read(text.encode())
    assert refused.value.hint


@given(st.binary(max_size=80), st.integers(0, len(NESTED)), st.integers(0, 20))
def test_rubbish_is_refused_by_name(data: bytes, place: int, cut: int) -> None:
    """Whatever stands in a policy, it is one or is refused by name."""
    raw = NESTED.encode()
    for one in (data, raw[:place] + data + raw[place + cut :]):
        try:
            trust.read(one)
        except InputError as refused:
            assert refused.hint
