"""The history: every leaf's entry comes back from it, whatever runs it was sealed in, and what is
wrong with it is named once.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError
from bailee.ledger import Sequencer
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.history import History
from bailee.ledger.sequencing import Committed
from bailee.ledger.tlog import notes
from bailee.ledger.tlog.tiles import Tiles
from support.homes.logged import Logged

SECRET = bytes(range(32))
RUNS = 1, 1, 700, 1, 600
MARKER = "quince"


class WithHistory(Logged):
    """A log with a history; in each run the last entry has something of a person's own."""

    def __init__(self, folder: Path, *runs: int) -> None:
        super().__init__(folder)
        self.history = History(self.folder, lambda: SECRET)
        self.grow(*runs)

    def grow(
        self, *runs: int, beside: Callable[[Sequence[Committed]], Mapping[str, bytes]] | None = None
    ) -> None:
        """Take up runs of so many entries."""
        of_it = beside or self.history.files
        grown = Sequencer(
            self.engine, self.sealing, self.folder, lambda: self.signers, beside=of_it
        )
        for run, count in enumerate(runs):
            self.append(count - 1)
            body = {"reason": f"{MARKER} {run}", "by": "operator"}
            self.ledger.append("access.read", "ses_1", body, whose=f"per_{run}")
            grown.run()

    def tiles(self) -> tuple[Tiles, int]:
        """What is signed of it."""
        note = notes.read(self.folder.read(CHECKPOINT) or b"")
        last = self.trust.opened(note).checkpoint
        return Tiles(last.size, last.root_hash, self.folder.fetch), last.size

    def numbers(self, first: int) -> list[int]:
        """The leaves and so the entries that come back from one on."""
        return [row.leaf for row in self.history.entries(first, *self.tiles())]

    def wrong(self) -> list[str]:
        """What is said to be wrong with it."""
        return [error.message for error in self.history.wrong(*self.tiles())]

    def paths(self) -> list[Path]:
        """Its files, in the order of their leaves."""
        return sorted(one for one in (self.folder.path / "history").rglob("*") if one.is_file())


@pytest.fixture
def log(tmp_path: Path) -> WithHistory:
    """A log whose runs end within a bundle, and go over several."""
    return WithHistory(tmp_path, *RUNS)


@pytest.mark.row("R5")
def test_every_entry_comes_back_from_any_leaf_on(log: WithHistory) -> None:
    """From the first, from the middle of a run of three bundles, and from its end."""
    size = sum(RUNS)
    assert [] == log.wrong()
    for first in (0, 1, 2, 255, 256, 700, 701, 702, 1000, size - 1, size):
        assert [*range(first, size)] == log.numbers(first)
    assert ["00", "02"] == [path.name for path in log.paths()]


def _alone(rows: Sequence[Committed]) -> dict[str, bytes]:
    """A file of the first 256 entries as it was written before there were runs."""
    made = b""
    for row in rows:
        number, when, kind, subject, body, whose, _, leaf, salt, digest, _ = row
        said = None if digest is None else digest.hex()
        plain = orjson.dumps((number, when, kind, subject, body, whose, salt.hex(), said))
        nonce = os.urandom(12)
        bound = b"bailee/history/1\x00" + leaf.to_bytes(8, "big")
        sealed = nonce + AESGCM(SECRET).encrypt(nonce, plain, bound)
        made += leaf.to_bytes(8, "big") + len(sealed).to_bytes(4, "big") + sealed
    return {"history/000000/00": made}


@pytest.mark.row("R5")
def test_entries_from_before_there_were_runs_are_read_and_kept(tmp_path: Path) -> None:
    """One by one, in the same file as a run that came later."""
    log = WithHistory(tmp_path)
    log.grow(40, beside=_alone)
    log.grow(300)
    assert [] == log.wrong()
    assert [*range(340)] == log.numbers(0)
    assert [*range(17, 340)] == log.numbers(17)


@pytest.mark.row("R5")
def test_what_is_wrong_is_named_once_and_stops_nothing_else(log: WithHistory) -> None:
    """A flipped byte wherever it is, a file that is cut off, and one that is gone."""
    for path in log.paths():
        content = path.read_bytes()
        named = f"ledger/history/000000/{path.name} "
        for place in (0, 7, 8, 11, 12, 15, 16, 28, len(content) // 2, len(content) - 1):
            flipped = bytearray(content)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            (said,) = log.wrong()
            assert said.startswith(named)
            with pytest.raises(IntegrityError, match=re.escape(named)):
                log.numbers(0)
        path.write_bytes(content[:-1])
        (said,) = log.wrong()
        assert said.startswith(named)
        path.write_bytes(content)
    log.paths()[1].unlink()
    assert ["ledger/history/000000/02 does not have leaf 702."] == log.wrong()


@pytest.mark.row("R6")
def test_what_is_somebodys_is_not_in_a_run_even_for_who_has_its_key(log: WithHistory) -> None:
    """An erasure has nothing to take away in a run, though that is about several people."""
    content, at, plain = log.paths()[0].read_bytes(), 0, b""
    while at < len(content):
        marked, count, length = struct.unpack_from(">QII", content, at)
        nonce, sealed = content[at + 16 : at + 28], content[at + 28 : at + 16 + length]
        leaf = (marked - 2**63).to_bytes(8, "big")
        bound = b"bailee/history/2\x00" + leaf + count.to_bytes(4, "big")
        plain += AESGCM(SECRET).decrypt(nonce, sealed, bound)
        at += 16 + length
    assert b"per_0" in plain
    assert b"per_2" in plain
    assert MARKER.encode() not in plain
