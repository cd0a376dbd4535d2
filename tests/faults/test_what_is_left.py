"""What ended a process and lies in the spool: the next ones do not fall over it again and again."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from support.clients import processes
from support.clients.programs import clean_environment

POISONED = Path(__file__).with_name("poisoned_process.py")


def poisoned(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that one exchange ends."""
    return processes.run(
        *(str(home), *arguments), env=clean_environment(home), program=POISONED, timeout=120
    )


@pytest.mark.row("G1", "D4")
def test_what_ended_the_process_is_not_tried_again(tmp_path: Path) -> None:
    """It ends the process where it was sealed, and three more where it is tried alone; then it
    is kept as the bytes that came, and reported. The others are kept as always.
    """
    for arguments in (["fill"], [], [], []):
        assert -signal.SIGKILL == poisoned(tmp_path, *arguments).returncode
    done = poisoned(tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    assert ["vault.kept_as_bytes"] == found["reported"]
    assert {"0": None, "1": None, "2": "ended_the_process", "3": None, "4": None} == found["kept"]
    assert [] == list((tmp_path / "vault" / "spool").iterdir())
    assert [] == json.loads(poisoned(tmp_path).stdout)["reported"]
