"""A real machine, emulated: it starts, runs commands, reaches its services, and ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest

from bailee.cloud.channel.connection import StreamWriter
from bailee.cloud.machine.machine import QemuMachine
from bailee.cloud.ports import Command, End, MachineLimits
from bailee.errors import InputError, MachineError
from support.machines.emulated import LIMITS, Town

pytestmark = pytest.mark.row("C1")

TALK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
    while data := s.recv(65536):
        sys.stdout.buffer.write(data)
"""


async def digest(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
    """Answers with the digest of all that came, and all that came."""
    data = await reader.read()
    writer.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
    writer.close()
    await writer.wait_closed()


@pytest.fixture(scope="module")
def machine(town: Town) -> QemuMachine:
    """One machine for the tests that leave it as it was."""
    return town.start({"egress": digest, "git": digest})


def test_it_says_what_isolates_it(machine: QemuMachine) -> None:
    """An emulated machine is labelled so."""
    assert "emulation" == machine.security


def test_commands_run_as_the_ordinary_user_in_the_workspace(
    town: Town, machine: QemuMachine
) -> None:
    """A command is the session's user, in `/workspace`, where it may write."""
    status, out, _ = town.told(machine, "sh", "-c", "id -un; pwd; touch file && rm file && echo ok")

    assert (0, "session\n/workspace\nok\n") == (status, out)


def test_commands_run_as_root_when_asked(town: Town, machine: QemuMachine) -> None:
    """Setting a machine up needs root inside it."""
    assert (0, "0\n", "") == town.told(machine, "id", "-u", root=True)


def test_input_output_errors_and_status_are_the_command_s(town: Town, machine: QemuMachine) -> None:
    """Standard input goes in; both outputs and the status come out, apart."""
    script = "cat; echo problem >&2; exit 7"
    told = town.told(machine, "sh", "-c", script, stdin=b"x" * 300_000)

    assert (7, "x" * 300_000, "problem\n") == told


def test_environment_and_folder_are_as_given(town: Town, machine: QemuMachine) -> None:
    """What a command is given is what it has, besides what a log-in has."""
    given = {"environment": {"NAME": "välue"}, "folder": "/tmp"}

    assert (
        "välue /tmp /home/session\n"
        == town.told(machine, "sh", "-c", "echo $NAME $PWD $HOME", **given)[1]
    )


def test_a_signal_and_a_missing_program_have_the_usual_status(
    town: Town, machine: QemuMachine
) -> None:
    """128 + N for signal N, 127 for what is not there."""
    assert 128 + 9 == town.told(machine, "sh", "-c", "kill -9 $$")[0]
    assert 127 == town.told(machine, "no-such-program")[0]


def test_a_time_out_kills_the_whole_group(town: Town, machine: QemuMachine) -> None:
    """Past its time a command and its children are gone, and the status is 124."""
    status, out, _ = town.told(
        machine, "sh", "-c", "sleep 1000 & echo begun; sleep 1001", timeout=1.0
    )

    assert (124, "begun\n") == (status, out)
    assert "" == town.told(machine, "pgrep", "sleep")[1]


def test_a_command_that_is_given_up_is_killed(town: Town, machine: QemuMachine) -> None:
    """Cancelling `execute` ends the command in the guest."""

    async def give_up() -> None:
        begun = asyncio.Event()
        running = asyncio.create_task(
            machine.execute(
                Command(["sh", "-c", "echo x; sleep 1002"]), lambda name, data: begun.set()
            )
        )
        await begun.wait()
        running.cancel()
        await asyncio.wait([running])

    town.run(give_up())
    script = "while pgrep -x sleep; do true; done"
    assert 0 == town.told(machine, "sh", "-c", script, timeout=60.0)[0]


def test_orphans_are_collected(town: Town, machine: QemuMachine) -> None:
    """Processes that lose their parent leave no zombies behind."""
    town.told(machine, "sh", "-c", "for i in 1 2 3; do (sleep 0.1 &) ; done; setsid true &")
    script = "sleep 0.5; ps -eo stat | grep -c ^Z"

    assert "0\n" == town.told(machine, "sh", "-c", script)[1]


def test_services_are_reached_through_loopback_ports(town: Town, machine: QemuMachine) -> None:
    """A connection to a service's port is a stream to it: bytes both ways, half-closed too."""
    data = os.urandom(1_000_000).hex().encode()
    expected = hashlib.sha256(data).hexdigest() + "\n" + data.decode()

    assert expected == town.told(machine, "python3", "-c", TALK, "3128", stdin=data)[1]
    assert 64 + 1 == len(town.told(machine, "python3", "-c", TALK, "8418")[1])


def test_a_service_that_was_not_named_is_not_there(town: Town, machine: QemuMachine) -> None:
    """Nobody listens on its port."""
    assert "ConnectionRefusedError" in town.told(machine, "python3", "-c", TALK, "8787")[2]


def test_commands_run_at_the_same_time(town: Town, machine: QemuMachine) -> None:
    """Several commands at once, and their outputs are not mixed up."""

    async def several() -> list[bytes]:
        outputs = [bytearray() for _ in range(4)]
        await asyncio.gather(
            *(
                machine.execute(
                    Command(["sh", "-c", f"yes {number} | head -n 20000"]),
                    lambda name, data, number=number: outputs[number].extend(data),
                )
                for number in range(4)
            )
        )
        return [bytes(output) for output in outputs]

    assert [f"{number}\n".encode() * 20000 for number in range(4)] == town.run(several())


def test_the_clock_is_right_and_entropy_is_its_own(town: Town, machine: QemuMachine) -> None:
    """A machine from a template has the time of now, and no random bytes of another."""
    other = town.start()
    random = ("head", "-c", "32", "/dev/urandom")
    first, second = (town.run(_bytes(one, *random)) for one in (machine, other))
    now = float(town.told(other, "date", "+%s")[1])
    town.run(other.destroy(End.STOPPED))

    assert first != second
    assert abs(now - time.time()) < 60


async def _bytes(machine: QemuMachine, *argv: str) -> bytes:
    out = bytearray()
    await machine.execute(Command(argv), lambda name, data: out.extend(data))
    return bytes(out)


def test_what_people_expect_is_there(town: Town, machine: QemuMachine) -> None:
    """There are git, Python, venv, pip, Node, npm, ripgrep, a compiler, bailee code."""
    script = """set -e
git --version; python3 -c 'import venv, ensurepip, ssl
assert ssl.create_default_context().get_ca_certs()'
python3 -m pip --version; node --version; test -x /usr/bin/npm; rg --version; curl --version
echo 'int main(void) { return 0; }' > /tmp/a.c && cc -o /tmp/a /tmp/a.c && /tmp/a
dpkg --audit; apt-get --version; bailee code --help
"""
    status, out, err = town.told(machine, "bash", "-c", script)

    assert (0, "") == (status, err)
    assert "Work on the code in this folder" in out


def test_packages_that_were_asked_for_are_there(town: Town, machine: QemuMachine) -> None:
    """What `--with` names is installed, for everybody, from Debian, PyPI and npm."""
    programs = {
        "jq": ("jq", "-n", "1+1"),
        "pypi:cowsay": ("cowsay", "-t", "moo"),
        "npm:semver": ("semver", "1.2.3"),
    }
    told = [town.told(machine, *programs[name]) for name in town.image.manifest["with"]]

    assert [0] * len(told) == [status for status, _, _ in told]
    assert "2\n" in [out for _, out, _ in told]
    assert {"cowsay"} <= set(town.image.manifest["packages"]["pypi"])


def test_an_unknown_service_is_refused_before_anything_starts(town: Town) -> None:
    """A service without a port in the guest is the caller's mistake."""
    with pytest.raises(InputError, match="no service"):
        town.start({"telnet": digest})


@pytest.mark.parametrize(
    ("limits", "script", "reason"),
    [
        (MachineLimits(LIMITS.memory, disk=LIMITS.disk, wall_clock=3), "yes", End.WALL_CLOCK),
        (MachineLimits(LIMITS.memory, disk=LIMITS.disk, idle=3), "sleep 1000", End.IDLE),
        (LIMITS, "dd if=/dev/zero of=big bs=8M oflag=direct; sleep 1000", End.DISK),
    ],
)
def test_limits_end_it_and_say_which(
    town: Town, limits: MachineLimits, script: str, reason: End
) -> None:
    """Time, silence and a full disk end a machine; the command that ran is told so."""
    machine = town.start(limits=limits)
    with pytest.raises(MachineError, match=reason.value):
        town.told(machine, "sh", "-c", script)

    assert reason == town.ended(machine)
    assert not Path(f"/proc/{machine.process}").exists()


def test_without_a_template_it_boots(town: Town) -> None:
    """The slow way gives the same machine."""
    slow = Town(templates=None)
    machine = slow.start({"git": digest})

    assert (0, "session\n", "") == slow.told(machine, "id", "-un")
    assert 65 == len(slow.told(machine, "python3", "-c", TALK, "8418")[1])
    slow.close()
