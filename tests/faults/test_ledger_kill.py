"""kill -9 between any two steps of the sequencer: the tree goes on, and never forks or shrinks."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bailee.ledger.folder import CHECKPOINT
from support.clients import processes
from support.clients.programs import clean_environment
from support.homes.logged import Logged

PROCESS = Path(__file__).with_name("ledger_process.py")
POINTS = [
    ("bailee.ledger.sequencing:Sequencer._assigned", 3),
    ("bailee.ledger.sequencing:Sequencer._publish", 3),
    ("bailee.ledger.folder:Folder.write", 5),  # tiles
    ("bailee.ledger.folder:Folder.write", 6),  # the checkpoint
    ("bailee.ledger.folder:Folder.remove_all", 1),
    ("bailee.ledger.folder:os.fdatasync", 9),  # in the middle of the tiles
]


@pytest.mark.row("P4")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "count"), POINTS, ids=lambda one: str(one).rpartition(":")[2])
def test_after_a_kill_the_tree_goes_on(tmp_path: Path, point: str, count: int, when: str) -> None:
    """What was signed is the beginning of what is signed next; every entry is one leaf."""
    process = processes.start(
        *(str(tmp_path), point, str(count), when),
        env=clean_environment(tmp_path),
        program=PROCESS,
    )
    assert process.stdout is not None and process.stderr is not None
    told, said = process.stdout.read(), process.stderr.read()
    assert -signal.SIGKILL == process.wait(60), said
    acknowledged = int(told.split()[-1])

    log = Logged(tmp_path)
    signed = log.folder.read(CHECKPOINT)
    assert [] == log.checked(signed).damaged
    log.append(1)
    size = log.sequencer.run()

    entries = [*log.ledger.entries()]
    assert size == len(entries) > acknowledged
    found = log.checked(signed)
    assert (size, size, 0, []) == (found.size, found.entries, found.waiting, found.damaged)
