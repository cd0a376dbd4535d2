"""A log of 70,000 entries, as software that is not ours sees it: Go's sumdb code, and OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bailee.errors import IntegrityError
from bailee.ledger.tlog import notes, tiles, tree, trust
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Kind, Signer
from bailee.ledger.tlog.tiles import ENTRIES, Tile, Tiles
from support.logs import golang

SIZE = 70_000
SIGNERS = [
    Signer("log.example/one", Kind.ED25519, bytes(32)),
    Signer("log.example/one", Kind.ML_DSA_44, bytes(32)),
    Signer("w.example", Kind.COSIGNATURE, bytes([1]) * 32),
]
VKEYS = [one.key.text for one in SIGNERS]
POLICY = trust.read(f"log {VKEYS[0]}\nlog {VKEYS[1]}\nwitness w {VKEYS[2]}\nquorum w\n".encode())


@dataclass
class Log:
    """A log in a folder."""

    folder: Path

    def fetch(self, wanted: Sequence[Tile]) -> list[bytes]:
        """Its tiles and bundles."""
        return [(self.folder / one.path).read_bytes() for one in wanted]

    def opened(self) -> Tiles:
        """The log, as its checkpoint says that it is."""
        note = notes.read((self.folder / "checkpoint").read_bytes())
        checkpoint = POLICY.opened(note).checkpoint
        return Tiles(checkpoint.size, checkpoint.root_hash, self.fetch)

    def read_all(self) -> None:
        """Read every entry, as an auditor does."""
        log = self.opened()
        for number in range(-(-SIZE // tiles.WIDTH)):
            log.entries(number)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The log, grown in three steps, signed in each kind."""
    made = Log(tmp_path_factory.mktemp("log"))
    entries = [n.to_bytes(32, "big") for n in range(SIZE)]
    hashes = [tree.leaf_hash(one) for one in entries]
    edge = tree.Frontier()
    for old, new in ((0, 300), (300, 65_600), (65_600, SIZE)):
        edge, came = edge.grown_by(hashes[old:new])
        for tile, data in (
            *tiles.bundled(old, entries[old:new], made.fetch),
            *tiles.written(old, came, made.fetch),
        ):
            path = made.folder / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    text = Checkpoint("log.example/one", SIZE, tree.root(hashes)).text
    (made.folder / "checkpoint").write_bytes(notes.signed(text, SIGNERS, 1_800_000_000).data)
    return made


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's verifier."""
    return golang.build(tmp_path_factory.mktemp("go"))


@pytest.mark.row("P4")
def test_go_accepts_the_log_and_proves_as_we_do(log: Log, go: Path) -> None:
    """Go opens the note, in each kind, reads every tile and entry, and its proofs are ours."""
    indexes = [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1]
    olds = [1, 2, 255, 256, 257, 300, 65_536, 65_600, 69_999, SIZE]
    asked = [*(f"entry {n}" for n in indexes), *(f"grown {n}" for n in olds)]

    accepted, (tree_, *proofs) = golang.verify(go, log.folder, VKEYS, asked)

    assert accepted
    read = log.opened().hashes
    assert [str(SIZE), notes.to_base64(tree.frontier(SIZE, read).root())] == tree_
    ours = [
        *(tree.inclusion(n, SIZE, read) for n in indexes),
        *([tree.frontier(n, read).root(), *tree.consistency(n, SIZE, read)] for n in olds),
    ]
    assert [[notes.to_base64(one) for one in proof] for proof in ours] == proofs


KINDS = {
    "a full bundle": Tile(ENTRIES, 100).path,
    "the partial bundle": Tile(ENTRIES, 273, 112).path,
    "a full tile of leaves": Tile(0, 100).path,
    "the partial tile of leaves": Tile(0, 273, 112).path,
    "a full tile above": Tile(1, 0).path,
    "the partial tile above": Tile(1, 1, 17).path,
    "the tile at the top": Tile(2, 0, 1).path,
    "the checkpoint": "checkpoint",
}


@pytest.mark.row("P4")
@pytest.mark.parametrize("path", KINDS.values(), ids=KINDS.keys())
def test_go_and_we_refuse_each_kind_of_file_once_changed(log: Log, go: Path, path: str) -> None:
    """One bit in the middle of one file, or the file gone: both refuse the log, and we name it."""
    changed = log.folder / path
    before = changed.read_bytes()
    middle = len(before) // 2
    try:
        changed.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        assert not golang.verify(go, log.folder, VKEYS)[0]
        with pytest.raises(IntegrityError) as refused:
            log.read_all()
        assert path == "checkpoint" or path in refused.value.message
        changed.unlink()
        assert not golang.verify(go, log.folder, VKEYS)[0]
    finally:
        changed.write_bytes(before)


@pytest.mark.row("P4")
def test_go_and_we_refuse_another_key(log: Log, go: Path) -> None:
    """A log signed by somebody else under the same name."""
    other = Signer("log.example/one", Kind.ED25519, bytes([7]) * 32).key.text
    assert not golang.verify(go, log.folder, [other])[0]


@pytest.mark.row("P4")
def test_openssl_verifies_the_logs_signature(log: Log, tmp_path: Path) -> None:
    """The Ed25519 line is a signature of the note's text, by the key that stands in the vkey."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    note = notes.read((log.folder / "checkpoint").read_bytes())
    key = Ed25519PublicKey.from_public_bytes(SIGNERS[0].key.public)
    (tmp_path / "key").write_bytes(
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "signature").write_bytes(note.signatures[0].signature)

    def accepts(text: str) -> bool:
        (tmp_path / "text").write_text(text)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin"]
        command += ["-in", "text", "-sigfile", "signature"]
        return subprocess.run(command, check=False, cwd=tmp_path).returncode == 0

    assert accepts(note.text)
    assert not accepts(note.text.replace("70000", "70001"))
