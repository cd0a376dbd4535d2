"""The auditor's script of the guides: it needs nothing of ours, and judges as we do."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import BaileeError
from bailee.ledger.tlog import notes, proofs, tiles, tree, trust
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer
from bailee.ledger.tlog.proofs import Proof
from support.sources import parsed

SCRIPT = Path(__file__).parents[4] / "docs/guides/verify_proof.py"
LOG = [Signer("log.example/one", kind, bytes(32)) for kind in (Kind.ED25519, Kind.ML_DSA_44)]
ONE, TWO = (Signer(f"w{n}.example", Kind.COSIGNATURE, bytes([n]) * 32) for n in (1, 2))
POLICY = f"""# whom we trust
log {LOG[0].key.text} https://log.example/one
witness one {ONE.key.text}
witness two {TWO.key.text}
group either any one two
quorum either
""".encode()
LATER = f"log {LOG[1].key.text}\nquorum none\n".encode()
PAYLOADS = [f"entry {n}".encode() for n in range(11)]
SALT = bytes(range(32))
HASHES = [tree.leaf_hash(sha256(SALT + one).digest()) for one in PAYLOADS]
NOTE = notes.signed(
    Checkpoint("log.example/one", len(HASHES), tree.root(HASHES)).text, [*LOG, TWO], 1_800_000_000
)


def proof_of(index: int, within: bytes = b"") -> bytes:
    """The proof of an entry, as a file; with the entry `within` it."""

    def read(nodes: list[tree.TreeNode]) -> list[bytes]:
        return [tree.root(HASHES[n << level : (n + 1) << level]) for level, n in nodes]

    return Proof(index, tuple(tree.inclusion(index, len(HASHES), read)), NOTE, SALT + within).data


def script() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("verify_proof", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFY = script()


def shown_by_it(policy: bytes, proof: bytes, payload: bytes) -> bool:
    """What the script says."""
    try:
        VERIFY.verify(policy, proof, payload)
    except (VERIFY.Refused, ValueError, LookupError):
        return False
    return True


def shown_by_us(policy: bytes, proof: bytes, payload: bytes) -> bool:
    """What we say."""
    try:
        read = proofs.read(proof)
        entry = payload if read.extra is None else sha256(read.extra + payload).digest()
        read.verify(entry, trust.read(policy))
    except BaileeError:
        return False
    return True


def test_it_needs_python_and_cryptography_alone() -> None:
    """Nothing of ours is imported, nor of anybody else's but the one package."""
    statements = ast.walk(parsed(SCRIPT))
    imports = [one for one in statements if isinstance(one, ast.Import | ast.ImportFrom)]
    imported = {
        name.split(".")[0]
        for one in imports
        for name in (
            [one.module or ""] if isinstance(one, ast.ImportFrom) else [n.name for n in one.names]
        )
    }
    assert {"cryptography"} == imported - set(sys.stdlib_module_names)


@pytest.mark.row("P4")
def test_it_shows_each_entry_and_no_other(tmp_path: Path) -> None:
    """As a program, with files: the status and the words for an entry and for another one."""
    for name, data in (("trust", POLICY), ("proof", proof_of(6)), ("six", b"entry 6"), ("x", b"x")):
        (tmp_path / name).write_bytes(data)

    def run(entry: str) -> tuple[int, str]:
        ran = subprocess.run(
            [sys.executable, "-I", SCRIPT, "trust", "proof", entry],
            cwd=tmp_path,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return ran.returncode, ran.stdout

    said = "entry 6 of log.example/one, which had 11 entries then, is this file\n"
    assert (0, said) == run("six")
    assert (1, "not shown: this entry is not in the log\n") == run("x")


@pytest.mark.row("P4")
def test_one_file_is_enough(tmp_path: Path) -> None:
    """A proof that brings its entry shows it, as text that no terminal obeys; not another entry,
    nor where the file beside it says something else.
    """

    def run(proof: bytes, *entry: str) -> tuple[int, str]:
        (tmp_path / "proof").write_bytes(proof)
        ran = subprocess.run(
            [sys.executable, "-I", SCRIPT, "trust", "proof", *entry],
            cwd=tmp_path, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return ran.returncode, ran.stdout

    for name, data in (("trust", POLICY), ("six", b"entry 6"), ("five", b"entry 5")):
        (tmp_path / name).write_bytes(data)
    whole = proof_of(6, b"entry 6")
    said = "entry 6 of log.example/one, which had 11 entries then, is "
    assert (0, f"{said}\nentry 6\n") == run(whole)
    assert (0, f"{said}this file\n") == run(whole, "six")
    assert (1, "not shown: the proof brings another entry than this file\n") == run(whole, "five")
    assert (1, "not shown: this entry is not in the log\n") == run(proof_of(6, b"entry 5"))
    alone = "not shown: the proof does not bring the entry, and no file was given\n"
    assert (1, alone) == run(proof_of(6))


@pytest.mark.row("P4")
@pytest.mark.parametrize("policy", [POLICY, LATER])
def test_it_takes_the_keys_of_either_kind(policy: bytes) -> None:
    """Ed25519 with a quorum of witnesses, or the log's ML-DSA-44 alone: every entry is shown."""
    for index, payload in enumerate(PAYLOADS):
        assert shown_by_it(policy, proof_of(index), payload)
        assert not shown_by_it(policy, proof_of(index), PAYLOADS[index - 1])


POLICIES = [
    POLICY.replace(b"either any", b"either all"),
    POLICY.replace(b"quorum either", b"quorum one"),
    POLICY.replace(b"quorum either", b"quorum two"),
    POLICY.replace(b"quorum either", b""),
    POLICY.replace(b"log.example/one+", b"log.example/two+", 1),
    b"log " + ONE.key.text.encode() + b"\nquorum none\n",
    b"quorum none\n",
]


@pytest.mark.parametrize("policy", POLICIES)
def test_it_asks_for_whom_we_ask(policy: bytes) -> None:
    """Other quorums and other keys are judged as we judge them."""
    ours = shown_by_us(policy, proof_of(6), PAYLOADS[6])
    assert ours == shown_by_it(policy, proof_of(6), PAYLOADS[6])


GOOD = proof_of(6)


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_it_refuses_what_we_refuse(place: int, new: bytes, cut: int) -> None:
    """Bytes changed, put in or left out anywhere in a proof: the two agree."""
    changed = GOOD[:place] + new + GOOD[place + cut :]
    assert shown_by_us(POLICY, changed, PAYLOADS[6]) == shown_by_it(POLICY, changed, PAYLOADS[6])


@pytest.mark.row("P4")
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_it_checks_a_whole_log(tmp_path: Path, size: int) -> None:
    """Against its checkpoint and one from before; an entry that was changed, a log that was rolled
    back or forked, and one of another key are refused, each for its reason.
    """
    entries = [sha256(f"entry {n}".encode()).digest() for n in range(size)]
    hashes = [tree.leaf_hash(entry) for entry in entries]

    def checkpoint(count: int, leaves: list[bytes]) -> bytes:
        text = Checkpoint("log.example/one", count, tree.root(leaves[:count])).text
        return notes.signed(text, [LOG[0]], 0).data

    folder = tmp_path / "log"
    nobody: tiles.Fetch = lambda _: []  # noqa: E731
    for tile, content in tiles.bundled(0, entries, nobody):
        (folder / tile.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / tile.path).write_bytes(content)
    (folder / "checkpoint").write_bytes(checkpoint(size, hashes))
    trusted = f"log {LOG[0].key.text}\nquorum none\n".encode()
    for before in {0, 1, size // 2, size}:
        earlier = checkpoint(before, hashes)
        assert ("log.example/one", size, before) == VERIFY.verify_log(trusted, folder, earlier)

    def refused(policy: bytes, earlier: bytes) -> str:
        with pytest.raises(VERIFY.Refused) as found:
            VERIFY.verify_log(policy, folder, earlier)
        return str(found.value)

    other = [tree.leaf_hash(b"another"), *hashes]
    assert "forked" in refused(trusted, checkpoint(1, other))
    assert "rolled back" in refused(trusted, checkpoint(size + 1, other))
    nobodys = f"log {ONE.key.text}\nquorum none\n".encode()
    assert "not signed by a log" in refused(nobodys, checkpoint(1, hashes))
    bundle = next(path for path in folder.rglob("*") if path.is_file() and "entries" in str(path))
    bundle.write_bytes(bundle.read_bytes()[:-1] + bytes([bundle.read_bytes()[-1] ^ 1]))
    assert "not those" in refused(trusted, checkpoint(0, hashes))


@pytest.mark.row("P4", "R6")
def test_it_checks_a_signed_note() -> None:
    """What the log's key signed, and no checkpoint in its place; changed, or another's, it is
    refused.
    """
    trusted = f"log {LOG[0].key.text}\nquorum none\n".encode()
    text = "bailee/remains/1\nlog.example/one\n{}\n"
    good = notes.signed(text, [LOG[0]], 0).data.decode()
    assert (text, "log.example/one") == VERIFY.verify_note(good, trusted)
    for wrong in (
        good.replace("{}", "[]"),
        notes.signed(text, [Signer("log.example/one", Kind.ED25519, bytes([7]) * 32)], 0)
        .data.decode(),
        NOTE.data.decode(),
    ):  # fmt: skip
        with pytest.raises(VERIFY.Refused):
            VERIFY.verify_note(wrong, trusted)
