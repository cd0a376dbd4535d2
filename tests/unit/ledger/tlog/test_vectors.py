"""What others published, judged as they judge it.

The files of `vectors/` are test data of public projects: `merkle.json` names its own source;
`mldsa.key` and `mldsa.checkpoint` are of filippo.io/torchwood, cmd/litewitness/testdata/mldsa.txt.
The log of words is of transparency-dev/tessera, testdata/log (Apache-2.0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import IntegrityError
from bailee.ledger.tlog import notes, tree, trust
from bailee.ledger.tlog.checkpoints import from_base64

VECTORS = Path(__file__).parent / "vectors"
MERKLE = json.loads((VECTORS / "merkle.json").read_text())
# The entries as they are in that log, and its checkpoints over the first seven and all of them.
WORDS = [b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eit", b"nain", b"ten"]
WORDS += [b"ileven", b"twelf", b"threeten", b"fourten", b"fivten"]
WORDS_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
WORDS_CHECKPOINTS = [
    "example.com/log/testdata\n7\nIrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=\n\n"
    "— example.com/log/testdata M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv"
    "0dCed3neRGI6dMzBq9uANf2Qc=\n",
    "example.com/log/testdata\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n\n"
    "— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6"
    "zdkdIQzd/fmwlM/dlPWF74ewI=\n",
]
Case = tuple[str, dict[str, Any], bool]

# How the project breaks each of its own good proofs: the root is what it puts in, too.
GARBAGE = from_base64("YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=")


def hashes(case: dict[str, Any]) -> dict[str, Any]:
    """A vector with its hashes as bytes."""
    return {
        name: value
        if isinstance(value, int)
        else from_base64(value)
        if isinstance(value, str)
        else [from_base64(one) for one in value]
        for name, value in case.items()
    }


def broken(case: dict[str, Any], roots: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A good vector, broken in each way in which the project breaks its proofs."""
    proof = case["proof"]
    for place, one in enumerate(proof):
        yield f"modified {place}", {"proof": [*proof[:place], flipped(one), *proof[place + 1 :]]}
    extras = {"garbage": GARBAGE, **{name: case[name] for name in roots}}
    for name, extra in extras.items():
        yield f"preceding {name}", {"proof": [extra, *proof]}
        yield f"trailing {name}", {"proof": [*proof, extra]}
    for name in roots:
        yield f"another {name}", {name: GARBAGE}
        yield f"empty {name}", {name: b""}
    if proof:
        yield "removed", {"proof": proof[:-1]}
        yield "no proof", {"proof": []}
        yield "inserted", {"proof": [*proof[:1], *proof]}


def flipped(one: bytes) -> bytes:
    """A hash with its fourth bit changed."""
    return bytes([one[0] ^ 8]) + one[1:]


def inclusions() -> Iterator[Case]:
    """Good and broken inclusion proofs."""
    for number, raw in enumerate(MERKLE["inclusion"]):
        good = hashes(raw)
        yield f"{number} good", good, True
        changes = dict(broken(good, ["root", "leafHash"]))
        index, size = good["leafIdx"], good["treeSize"]
        for name, (i, s) in {
            "index - 1": (index - 1, size),
            "index + 1": (index + 1, size),
            "index ^ 2": (index ^ 2, size),
            "size * 2": (index, size * 2),
            "size / 2": (index, size // 2),
        }.items():
            changes[name] = {"leafIdx": i, "treeSize": s}
        yield from ((f"{number} {name}", {**good, **one}, False) for name, one in changes.items())


def growths() -> Iterator[Case]:
    """Good and broken consistency proofs."""
    for number, raw in enumerate(MERKLE["consistency"]):
        good = hashes(raw)
        yield f"{number} good", good, True
        changes = dict(broken(good, ["root1", "root2"]))
        first, second = good["size1"], good["size2"]
        for name, (one, two) in {
            "size1 - 1": (first - 1, second),
            "size1 + 1": (first + 1, second),
            "size1 ^ 2": (first ^ 2, second),
            "size2 * 2": (first, second * 2),
            "size2 / 2": (first, second // 2),
        }.items():
            changes[name] = {"size1": one, "size2": two}
        if good["root1"] != good["root2"]:
            changes["swapped roots"] = {"root1": good["root2"], "root2": good["root1"]}
        yield from ((f"{number} {name}", {**good, **one}, False) for name, one in changes.items())


@pytest.mark.parametrize(("name", "case", "good"), [*inclusions()])
def test_inclusion_proofs_are_judged_as_published(
    name: str, case: dict[str, Any], good: bool
) -> None:
    """The good ones are good, and each of their mutations is refused."""

    def verify() -> None:
        tree.verify_inclusion(
            case["leafHash"], case["leafIdx"], case["treeSize"], case["proof"], case["root"]
        )

    if good:
        verify()
    else:
        with pytest.raises(IntegrityError):
            verify()


@pytest.mark.parametrize(("name", "case", "good"), [*growths()])
def test_consistency_proofs_are_judged_as_published(
    name: str, case: dict[str, Any], good: bool
) -> None:
    """The good ones are good, and each of their mutations is refused."""

    def verify() -> None:
        tree.verify_consistency(
            case["size1"], case["size2"], case["proof"], case["root1"], case["root2"]
        )

    if good:
        verify()
    else:
        with pytest.raises(IntegrityError):
            verify()


@pytest.mark.parametrize("published", WORDS_CHECKPOINTS)
def test_another_projects_log_has_our_roots(published: str) -> None:
    """A log that tessera made and signed: its root is ours over its entries, and its key fits."""
    policy = trust.read(f"log {WORDS_KEY}\nquorum none\n".encode())
    found = policy.opened(notes.read(published.encode())).checkpoint

    assert tree.root(map(tree.leaf_hash, WORDS[: found.size])) == found.root_hash


def test_another_projects_checkpoint_of_ml_dsa_44_verifies() -> None:
    """A log's checkpoint that torchwood signed: the bytes that are signed are the ones we sign."""
    key = notes.key((VECTORS / "mldsa.key").read_text().rstrip())
    raw = (VECTORS / "mldsa.checkpoint").read_bytes()

    assert {key: 0} == notes.read(raw).verified([key])
    with pytest.raises(IntegrityError):
        notes.read(raw.replace(b"\n1\n", b"\n2\n")).verified([key])
