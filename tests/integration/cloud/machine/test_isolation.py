"""Root inside a machine tries every way out that there could be, and what it can use up.

Nothing here is stopped by the guest's own good will: these run as root, which may change anything
in the guest. What must hold is that there is nothing to reach, and that the host stays well.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.cloud.channel.connection import StreamWriter
from bailee.cloud.machine.machine import QemuMachine
from bailee.cloud.ports import Command, End
from bailee.errors import MachineError
from support.machines.emulated import LIMITS, Town

pytestmark = pytest.mark.row("C1")

# Says what each of these gave: the error's name, or that it got through.
TRY = """
import socket, sys

def attempt(name, act):
    try:
        act()
    except OSError as error:
        print(name, type(error).__name__, error.errno)
    else:
        print(name, "GOT THROUGH")

def connect(host, port, kind=socket.SOCK_STREAM, family=socket.AF_INET):
    def act():
        with socket.socket(family, kind) as s:
            s.settimeout(3)
            s.connect((host, port))
            s.send(b"x")
            s.recv(1)
    return act

"""


@pytest.fixture(scope="module")
def machine(town: Town) -> QemuMachine:
    """A machine whose user tries to get out."""
    return town.start({"git": _answers("mine")})


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of the host's loopback that greets whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    taken, _ = server.accept()
                except OSError:
                    return
                taken.sendall(b"hello from the host")
                taken.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _answers(text: str):
    async def serve(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        await reader.read()
        writer.write(text.encode())
        writer.close()

    return serve


def root(town: Town, machine: QemuMachine, script: str) -> str:
    """Run Python as root in the guest and give what it printed."""
    status, out, err = town.told(machine, "python3", "-c", script, root=True, timeout=120.0)
    assert 0 == status, err
    return out


def test_there_is_no_network_card(town: Town, machine: QemuMachine) -> None:
    """The only interface is the guest's own loopback, and no driver finds another."""
    script = """
import os, socket, subprocess
print(socket.if_nameindex())
print(os.listdir("/sys/bus/pci/devices") if os.path.exists("/sys/bus/pci/devices") else [])
print(sorted(os.listdir("/sys/bus/virtio/devices")).__len__())
"""

    assert "[(1, 'lo')]\n[]\n5\n" == root(town, machine, script)


def test_no_address_beyond_the_guest_is_reached(
    town: Town, machine: QemuMachine, listening: int
) -> None:
    """Host loopback, LAN, metadata addresses, a resolver, the internet: nothing answers, over TCP
    or UDP, over IPv4 or IPv6, and a name can't be resolved.
    """
    with socket.create_connection(("127.0.0.1", listening)) as here:
        assert b"hello from the host" == here.recv(100)
    script = (
        TRY
        + f"""
for host in ("127.0.0.1", "10.0.2.2", "10.0.2.15", "192.168.0.1", "172.17.0.1", "169.254.169.254"):
    attempt(host, connect(host, {listening}))
for port in (53, 67, 69, 123):
    attempt(f"udp {{port}}", connect("10.0.2.3", port, socket.SOCK_DGRAM))
attempt("resolver", connect("1.1.1.1", 53, socket.SOCK_DGRAM))
attempt("internet", connect("1.1.1.1", 443))
attempt("v6", connect("fd00:ec2::254", 80, family=socket.AF_INET6))
attempt("name", lambda: socket.getaddrinfo("deb.debian.org", 80))
"""
    )
    out = root(town, machine, script)

    assert "GOT THROUGH" not in out
    assert 14 == len(out.splitlines())


def test_there_is_no_other_channel_to_the_host(town: Town, machine: QemuMachine) -> None:
    """No vsock, no shared folder, no second serial port, no firmware configuration to write."""
    script = (
        TRY
        + """
import os, subprocess
for cid in (0, 1, 2):
    def vsock():
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
            s.settimeout(3)
            s.connect((cid, 1024))
    attempt(f"vsock {cid}", vsock)
for kind in ("9p", "virtiofs"):
    done = subprocess.run(["mount", "-t", kind, "host", "/mnt"], capture_output=True)
    print(kind, "GOT THROUGH" if done.returncode == 0 else "refused")
print("ports", sorted(os.listdir("/sys/class/virtio-ports")))
for name in ("/dev/ttyS0", "/dev/kvm", "/dev/vhost-vsock"):
    attempt(name, lambda: os.write(os.open(name, os.O_WRONLY), b"x"))
"""
    )
    out = root(town, machine, script)

    assert "GOT THROUGH" not in out
    assert 1 == out.count("vport")


def test_a_port_without_a_service_can_not_be_made_into_one(
    town: Town, machine: QemuMachine
) -> None:
    """Root may listen on another service's port; what comes out is still nothing."""
    script = TRY + 'attempt("egress", connect("127.0.0.1", 3128))'

    assert "GOT THROUGH" not in root(town, machine, script)


def test_the_root_s_layers_can_not_be_written(town: Town, machine: QemuMachine) -> None:
    """The disks that machines share are read-only below the guest."""
    script = (
        TRY
        + """
import fcntl, os
def write(name):
    def act():
        fd = os.open(name, os.O_RDWR | os.O_SYNC)
        os.write(fd, b"x" * 512)
    return act
for name in sorted(os.listdir("/sys/block")):
    if name.startswith("vd"):
        serial = open(f"/sys/block/{name}/serial").read()
        if serial.startswith("layer"):
            open(f"/sys/block/{name}/force_ro", "w").write("0") if os.path.exists(
                f"/sys/block/{name}/force_ro") else None
            attempt(serial, write(f"/dev/{name}"))
"""
    )
    before = [path.stat().st_mtime_ns for path in town.image.disks.values()]
    out = root(town, machine, script)

    assert 3 == len(out.splitlines())
    assert "GOT THROUGH" not in out
    assert before == [path.stat().st_mtime_ns for path in town.image.disks.values()]
    assert [] == town.image.damaged()


def test_a_machine_reaches_only_its_own_services(town: Town, machine: QemuMachine) -> None:
    """Two machines side by side: each comes out at its own services, and neither at the other's."""
    other = town.start({"git": _answers("other's")})
    script = """
import socket
with socket.create_connection(("127.0.0.1", 8418)) as s:
    s.shutdown(socket.SHUT_WR)
    print(s.recv(100).decode())
"""
    answers = [root(town, one, script) for one in (machine, other)]
    town.run(other.destroy(End.STOPPED))

    assert ["mine\n", "other's\n"] == answers


# As root, take the serial port from the agent's own descriptor and write to it directly.
WRITE = """
import glob, os
agent = [fd for fd in glob.glob("/proc/1/fd/*") if "vport" in os.readlink(fd)]
pidfd = os.pidfd_open(1)
import ctypes
fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, int(os.path.basename(agent[0])), 0)
assert fd >= 0, ctypes.get_errno()
os.set_blocking(fd, True)
import struct
def frame(kind, stream, payload=b""):
    return struct.pack("!BIH", kind, stream, len(payload)) + payload
def write(data):
    while data:
        data = data[os.write(fd, data):]
"""


@pytest.mark.parametrize(
    "said",
    [
        "write(bytes([255]) * 65536)",
        'write(struct.pack("!BIH", 2, 1, 65535) + bytes(65535))',
        'write(frame(1, 99991, b"git")); [write(frame(2, 99991, bytes(32768))) for _ in range(64)]',
        '[write(frame(1, 2 * n + 100001, b"git") + frame(4, 2 * n + 100001)) for n in range(200)]; '
        "write(frame(9, 0))",
        'write(frame(1, 100001, b"x" * 65))',
    ],
    ids=["rubbish", "oversized", "no-credit", "streams", "name"],
)
def test_frames_that_break_the_rules_end_that_machine_and_no_other(
    town: Town, machine: QemuMachine, said: str
) -> None:
    """Written straight to the port, they end the machine that wrote them; the host serves on."""

    async def never_reads(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        await asyncio.Event().wait()

    hostile = town.start({"git": never_reads})
    with pytest.raises(MachineError):
        town.told(
            hostile, "python3", "-c", WRITE + said + "\nimport time; time.sleep(60)", root=True
        )

    assert End.GUEST_CRASHED == town.ended(hostile)
    assert (0, "session\n", "") == town.told(machine, "id", "-un")


def test_a_fork_bomb_stays_inside(town: Town) -> None:
    """It runs into the guest's limit; other commands still run, and it can be killed."""
    machine = town.start()
    bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"

    async def during() -> int:
        running = asyncio.create_task(
            machine.execute(Command(["python3", "-c", bomb], timeout=8), lambda name, data: None)
        )
        await asyncio.sleep(2)
        assert not running.done()
        return await running

    assert 124 == town.run(during())
    assert 0 == town.told(machine, "true", root=True)[0]
    town.run(machine.destroy(End.STOPPED))


def test_a_memory_bomb_stays_inside(town: Town) -> None:
    """It is killed in the guest; the guest goes on, and the host gives it no more than its size."""
    machine = town.start()
    bomb = "x = []\nwhile True: x.append(bytearray(b'x') * (8 << 20))"

    assert 128 + 9 == town.told(machine, "python3", "-c", bomb)[0]
    assert (0, "session\n", "") == town.told(machine, "id", "-un")
    status = Path(f"/proc/{machine.process}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmHWM")]
    assert int(line.split()[1]) << 10 < LIMITS.memory + (512 << 20)
    town.run(machine.destroy(End.STOPPED))


@pytest.mark.parametrize(
    "script",
    ["echo c > /proc/sysrq-trigger; sleep 60", "echo b > /proc/sysrq-trigger; sleep 60"],
)
def test_a_guest_that_crashes_is_gone(town: Town, script: str) -> None:
    """A panic, a reboot: the machine ends and says that the guest did."""
    machine = town.start()
    with pytest.raises(MachineError):
        town.told(machine, "sh", "-c", script, root=True)

    assert End.GUEST_CRASHED == town.ended(machine)
