"""Whoever dies, and when: no process, no disk and no memory of a machine is left.

A scratch disk has no name, so what is looked for is a process that has it open: before, one is
found; after, none may be.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailee.cloud.machine import QemuMachines
from bailee.cloud.machine.command_line import Accelerator
from bailee.cloud.ports import Command, End
from bailee.errors import MachineError
from support.machines.emulated import LIMITS, Town

pytestmark = pytest.mark.row("C1")

HOST = Path(__file__).with_name("machine_host.py")


def holders(folder: Path) -> set[int]:
    """The processes that have a file of a folder open, named or not."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()).startswith(f"{folder}/"):
                found.add(int(link.parts[2]))
        except OSError:
            continue
    return found


def names(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def gone(process: int) -> None:
    """Wait until a process that is nobody's child here has ended."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    assert [] != select.select([descriptor], [], [], 60)[0], "the process is still there"
    os.close(descriptor)


@dataclass(frozen=True)
class Templates:
    """A folder that no other test makes a template in; what the maker left in it that was killed,
    and what it holds since one was made.
    """

    folder: Path
    left: list[str]
    names: list[str]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """See `Templates`. The first maker is killed, the second one lives."""
    folder = tmp_path_factory.mktemp("templates")
    town = Town(templates=folder)
    host = _host(town, tmp_path_factory.mktemp("scratch"), folder)
    while not list(folder.glob(".making-*/memory")):
        assert host.poll() is None
        time.sleep(0.05)
    host.kill()
    host.wait()
    left = names(folder)
    town.run(town.machines.prepare(LIMITS))
    town.close()
    return Templates(folder, left, names(folder))


@pytest.fixture
def town(tmp_path: Path, templates: Templates) -> Iterator[Town]:
    """Machines whose scratch disks are in a folder of this test."""
    made = Town()
    made.machines = QemuMachines(
        made.image, scratch=tmp_path, templates=templates.folder, accelerator=Accelerator.EMULATION
    )
    yield made
    made.close()


def test_destroying_leaves_nothing(town: Town, tmp_path: Path, templates: Templates) -> None:
    """After `destroy`: no process, no disk, no file; and again does no harm."""
    machine = town.start()
    town.told(machine, "sh", "-c", "head -c 1000000 /dev/urandom > file; sync")
    assert machine.process in holders(tmp_path)
    assert [] == names(tmp_path)
    town.run(machine.destroy(End.FINISHED))
    town.run(machine.destroy(End.STOPPED))

    assert End.FINISHED == town.ended(machine)
    assert set() == holders(tmp_path)
    assert not Path(f"/proc/{machine.process}").exists()
    assert templates.names == names(templates.folder)


def test_a_killed_emulator_is_noticed_and_leaves_nothing(
    town: Town, tmp_path: Path, templates: Templates
) -> None:
    """After kill -9 of QEMU the command that ran is told, the reason is named, nothing is left."""
    machine = town.start()

    def kill(name: str, data: bytes) -> None:
        os.kill(machine.process, signal.SIGKILL)

    with pytest.raises(MachineError, match="machine_killed"):
        town.run(machine.execute(Command(["sh", "-c", "echo now; sleep 1000"]), kill))

    assert End.MACHINE_KILLED == town.ended(machine)
    assert set() == holders(tmp_path)
    assert templates.names == names(templates.folder)


@pytest.mark.parametrize("templated", [True, False], ids=["template", "boot"])
def test_a_killed_host_takes_its_machine_with_it(
    town: Town, tmp_path: Path, templates: Templates, templated: bool
) -> None:
    """After kill -9 of the process that led it QEMU is dead too, and disk and memory with it."""
    host = _host(town, tmp_path, templates.folder if templated else None)
    assert host.stdout is not None
    assert b"starting\n" == host.stdout.readline()
    emulator = int(host.stdout.readline())
    assert emulator in holders(tmp_path)
    assert [] == names(tmp_path)
    host.kill()
    host.wait()
    gone(emulator)

    assert set() == holders(tmp_path)
    assert [] == names(tmp_path)
    assert templates.names == names(templates.folder)


def test_a_host_that_is_killed_while_it_starts_one_leaves_nothing(
    town: Town, tmp_path: Path, templates: Templates
) -> None:
    """At whatever moment of the start it dies: nothing holds a scratch disk afterwards."""
    for moment in (0.0, 0.05, 0.1, 0.2, 0.4):
        host = _host(town, tmp_path, templates.folder)
        assert host.stdout is not None
        assert b"starting\n" == host.stdout.readline()
        time.sleep(moment)
        host.kill()
        host.wait()
        for process in holders(tmp_path):
            gone(process)
        assert set() == holders(tmp_path)
    assert templates.names == names(templates.folder)


def test_what_a_killed_maker_left_is_removed_when_one_is_made(templates: Templates) -> None:
    """One folder was there with a guest's memory in it, and is gone; the template is another."""
    assert (1, 1) == (len(templates.left), len(templates.names))
    assert templates.left != templates.names


def test_a_template_that_can_not_be_restored_is_removed(
    town: Town, tmp_path: Path, templates: Templates, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken bytes in a template: the machine boots all the same, and it is said."""
    folder = tmp_path / "templates"
    subprocess.run(["cp", "--archive", templates.folder, folder], check=True)  # with its holes
    town.machines = QemuMachines(town.image, templates=folder, accelerator=Accelerator.EMULATION)
    template = town.run(town.machines.prepare(LIMITS))
    assert template is not None
    assert templates.names == [template.folder.name]
    with template.state.open("r+b") as state:
        state.seek(64)
        state.write(b"\xff" * 4096)
    machine = town.start()

    assert (0, "session\n", "") == town.told(machine, "id", "-un")
    assert "could not be restored" in caplog.text
    assert not template.exists


def _host(town: Town, scratch: Path, templates: Path | None) -> subprocess.Popen[bytes]:
    path = [str(HOST.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, HOST, scratch, town.image.folder, templates or "-"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ":".join(path)},
    )
