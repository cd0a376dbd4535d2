"""kill -9 between any two steps of a backup or a restore: the same command goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from shutil import copytree

import pytest

from bailee.backup.checking import verified
from bailee.backup.places import FolderPlace
from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node import Node
from support.clients import processes
from support.clients.programs import clean_environment
from support.homes.backed_up import BackedUp

PROCESS = Path(__file__).with_name("backup_process.py")
CREATING = [
    ("bailee.backup.folder:copied", 1),
    ("bailee.backup.folder:copied", 2),
    ("bailee.backup.folder:settled", 1),
    ("bailee.backup.folder:written", 1),  # the manifest
    ("bailee.ledger.ledger:Ledger.append", 1),  # that it was made
    ("bailee.backup.creating:Creating._remove_old", 1),
    ("bailee.keeping.snapshots:KeySnapshots.note", 1),
    ("bailee.keyring.keyring:Keyring.copy", 1),
    ("bailee.backup.folder:written", 2),  # what the snapshot says of itself
]
RESTORING = [
    ("bailee.home.parts:write_own", 1),
    ("bailee.backup.restoring:_copy_keys", 1),
    ("bailee.backup.restoring:_copy_log", 1),
    ("bailee.backup.folder:saved", 2),
    ("bailee.backup.folder:saved", 4),
    ("bailee.backup.restoring:put_back", 1),
    ("bailee.backup.restoring:apply_to_data", 1),
    ("bailee.vault.vault:Vault.delete", 1),
    ("bailee.feedback.reports:Reports.withdraw", 1),
    ("bailee.keyring.keyring:Keyring.rotate_root", 1),
    ("bailee.home.parts:write_own", 2),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A home with a backup, and what was ended and said since; closed."""
    place = BackedUp(tmp_path_factory.mktemp("made"))
    account = str(place.person("ola@x.example")["account"])
    for word in ("quince", "damson"):
        place.say(account, word)
        place.report(account, f"report of {word}")
    place.node.vault.ship()
    place.back_up()
    at = place.clock()
    place.node.vault.delete(place.sessions["damson"], at)
    report = place.node.reports.get(place.reports["report of damson"], at)
    place.node.reports.withdraw(report, at, by="key_1")
    place.say(account, "medlar")
    place.report(account, "report of medlar")
    place.node.vault.ship()
    place.node.close()
    copytree(place.home.ledger, place.log)
    return place


@pytest.fixture
def place(made: BackedUp, tmp_path: Path) -> BackedUp:
    """A copy of it."""
    return made.copied(tmp_path)


def killed(place: BackedUp, what: str, *point: str) -> bool:
    """Whether a process died at a point; else it came to its end."""
    process = processes.start(
        *(what, str(place.folder), *point, place.clock().isoformat()),
        env=clean_environment(place.folder),
        program=PROCESS,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    status = process.wait(120)
    assert status in (0, -signal.SIGKILL), said
    return status != 0


@pytest.mark.row("R5")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "count"), CREATING, ids=lambda one: str(one).rpartition(":")[2])
def test_a_backup_that_was_broken_off(place: BackedUp, point: str, count: int, when: str) -> None:
    """The backup that was there is whole, or the new one is. Every snapshot of keys that opens
    anything is on record, and the next backup is good.
    """
    assert killed(place, "create", point, str(count), when)
    assert [] == verified(FolderPlace(place.data))[2]
    place.node = Node.open(place.home, clock=place.clock)
    known = {Path(one.place).name for one in place.node.snapshots.living()}
    assert {one.parent.name for one in place.keys.rglob("root.json")} <= known
    place.back_up()
    manifest, _, wrong = verified(FolderPlace(place.data))
    assert [] == wrong
    assert {"kept", "manifest.json", manifest.backup} == {one.name for one in place.data.iterdir()}
    place.take_log()
    place.node.close()
    place.restore()
    with place.restored() as restored:
        lives = {"quince", "report of quince", "medlar", "report of medlar"}
        assert lives == restored.words()


@pytest.mark.row("R5", "R6")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "count"), RESTORING, ids=lambda one: str(one).rpartition(":")[2])
def test_a_restore_that_was_broken_off(place: BackedUp, point: str, count: int, when: str) -> None:
    """Nobody opens the home before it is whole; then what was ended since is not in it."""
    assert killed(place, "restore", point, str(count), when)
    new = Home(place.folder / "restored")
    own = new.identity_file.read_bytes() if new.identity_file.exists() else b""
    if b"restoring" in own:
        with pytest.raises(BaileeError, match="being restored"):
            Node.open(new, clock=place.clock)
    if b"whole" not in own:
        place.restore()
    with place.restored() as restored:
        assert {"quince", "report of quince"} == restored.words()
        assert [] == restored.openable("damson") + restored.openable("report of damson")
