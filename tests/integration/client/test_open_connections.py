"""What a program has open, by looking again and again; the sockets are real."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.client.open_connections import OpenConnections

# A program without a connection, and a child of it that opens one at a word.
PROGRAM = """
import ctypes, os, socket, sys
kept = [socket.socketpair(), socket.create_server(("127.0.0.1", 0))]
kept.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
kept[-1].bind((0, 0))
if os.fork() == 0:
    one = None
    for line in sys.stdin:
        kind, address, port = line.split()
        if kind == "again":  # the same socket, led elsewhere
            ctypes.CDLL(None).connect(one.fileno(), bytes(16), 16)
        else:
            one = socket.socket(type=getattr(socket, kind))
            kept.append(one)
        one.connect((address, int(port)))
        print("done", flush=True)
else:
    os.wait()
"""


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    """It is ended with the child, which reads to the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
    assert 0 == process.returncode


def tell(process: subprocess.Popen[str], kind: str, to: socket.socket) -> tuple[str, int]:
    """Have it connect; to where."""
    assert process.stdin is not None and process.stdout is not None
    address, port = to.getsockname()
    process.stdin.write(f"{kind} {address} {port}\n")
    process.stdin.flush()
    assert "done\n" == process.stdout.readline()
    return address, port


@pytest.mark.row("S7", "D2")
def test_each_is_seen_at_the_next_look_and_one_led_elsewhere_soon(
    program: subprocess.Popen[str],
) -> None:
    """TCP, UDP, of a child; what is connected anew with the same socket within twenty looks."""
    opened = OpenConnections(program.pid)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    receiving = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
    try:
        for one in receiving:
            one.bind(("127.0.0.1", 0))
        assert set() == opened.look()
        first = tell(program, "SOCK_STREAM", listening[0])
        assert {first} == opened.look()
        asked = tell(program, "SOCK_DGRAM", receiving[0])
        assert {first, asked} == opened.look()
        elsewhere = tell(program, "again", receiving[1])
        assert {first, elsewhere} == opened.look()

        second = tell(program, "SOCK_STREAM", listening[1])
        assert {first, elsewhere, second} == opened.look()
        listening[0].accept()[0].close()
        other = tell(program, "again", listening[0])
        assert {first, elsewhere, other} in [opened.look() for _ in range(20)]
    finally:
        for one in (*listening, *receiving):
            one.close()


def test_tcp_is_listed_only_while_a_socket_is_not_known(
    program: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty looks at the same connections list it once."""
    listed: list[str] = []
    read = Path.read_bytes

    def noted(path: Path) -> bytes:
        listed.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    opened = OpenConnections(program.pid)
    with socket.create_server(("127.0.0.1", 0)) as to:
        there = tell(program, "SOCK_STREAM", to)
        assert [{there}] * 20 == [opened.look() for _ in range(20)]
    assert 1 == listed.count("tcp") == listed.count("tcp6")
    assert 20 == listed.count("udp")


def test_a_process_that_is_gone_has_none() -> None:
    """Nor is it an error."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert set() == OpenConnections(process.pid).look()
