"""A witness is killed between keeping and answering, or can't keep: it signs one history."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from pathlib import Path

import pytest

from bailee.errors import StorageError
from bailee.ledger.folder import Folder
from bailee.ledger.tlog.witnessing import Request
from bailee.ledger.witness import Witness
from support.clients.witnesses import WitnessProcess
from support.logs.branches import AT, FORK, LOG, request

PROCESS = Path(__file__).with_name("witness_process.py")
WRITE = "bailee.ledger.folder:Folder.write"
REPLACE = "bailee.ledger.folder:Path.replace"
POINTS = [
    (WRITE, "before", 5),
    (WRITE, "after", 12),
    (REPLACE, "before", 5),
    (REPLACE, "after", 12),
]


@pytest.mark.row("P4")
@pytest.mark.parametrize(("point", "when", "kept"), POINTS)
def test_after_a_kill_one_history_is_cosigned(
    tmp_path: Path, point: str, when: str, kept: int
) -> None:
    """What was not answered was kept or not; either way whoever asks again gets a signature of one
    history, and nobody one of the other.
    """
    witness = WitnessProcess(tmp_path / "witness")
    witness.know(LOG.key.text)
    witness.up()  # its keys are made
    assert 200 == witness.add(request(0, 5).body).status
    witness.end()
    witness.up(point, "1", when, program=PROCESS)
    with pytest.raises((OSError, http.client.HTTPException)):
        witness.add(request(5, 12).body)
    witness.close()
    try:
        witness.up()
        behind = witness.add(request(1, 12).body)
        assert (409, f"{kept}\n".encode()) == (behind.status, behind.body)
        assert 200 == witness.add(request(kept, 12).body).status
        assert 409 == witness.add(request(5, 15, leaves=FORK).body).status
        assert 422 == witness.add(request(12, 15, leaves=FORK).body).status
    finally:
        witness.close()


class FailingFolder(Folder):
    """A folder whose disk fails from some write on: before it has written, or after."""

    def __init__(self, path: Path, *, after: bool) -> None:
        super().__init__(path)
        self._after = after
        self.fails = False

    def write(self, files: Mapping[str, bytes]) -> None:
        """See `Folder`."""
        if not self.fails or self._after:
            super().write(files)
        if self.fails:
            raise StorageError("the disk fails.")


@pytest.mark.row("P4")
@pytest.mark.parametrize(("after", "kept"), [(False, 5), (True, 12)])
def test_a_disk_that_fails_gets_no_signature_out(tmp_path: Path, after: bool, kept: int) -> None:
    """Failed and not kept, failed but kept: nothing is answered, and what is asked next is answered
    by what is there.
    """
    (tmp_path / "known-logs").write_text(f"log {LOG.key.text}\nquorum none\n")
    folder = FailingFolder(tmp_path, after=after)
    with Witness(tmp_path, "w.example/one", folder) as witness:

        def status(asked: Request) -> int:
            return witness.answer(asked.body, AT).status

        assert 200 == status(request(0, 5))
        folder.fails = True
        with pytest.raises(StorageError):
            status(request(5, 12))
        folder.fails = False
        assert 409 == status(request(1, 12))
        assert 200 == status(request(kept, 12))
        assert 422 == status(request(12, 15, leaves=FORK))
