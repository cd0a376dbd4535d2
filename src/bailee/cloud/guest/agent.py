"""The agent itself: process 1 of the guest.

It serves the channel's streams `ping` (whether it is there), `start` (a session begins: the clock,
fresh entropy, which services there are) and `command`; and it listens on the guest's loopback, a
port for each service, and makes a stream of each connection. There is nothing else to forbid: the
machine has no network card, and nothing listens on the host's side of the channel but those.

When it dies, the kernel panics, and the machine is gone.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bailee.cloud.channel import commands
from bailee.cloud.channel.connection import ChannelConnection, Serve, StreamWriter
from bailee.cloud.channel.frames import Side
from bailee.cloud.guest.running import GROUP, Children, run
from bailee.cloud.ports import Command

_PIECE: Final = 65536
_PORTS: Final = Path("/sys/class/virtio-ports")
_PORT_NAME: Final = "bailee"
_RNDADDENTROPY: Final = 0x40085203
_RNDRESEEDCRNG: Final = 0x5207
# Of five parts of the memory commands have four. With less for kernel and agent, a guest that is
# short of memory spends its time reading programs anew, and nothing is ended for it.
_PARTS: Final = 5
_PROCESSES: Final = 512
_WARM: Final = """exec >/dev/null 2>&1
git --version; node --version; rg --version; bailee code --help; python3 -c 'import ssl'
"""
_WARMING: Final = 60.0


class GuestAgent:
    """Serves a channel."""

    def __init__(self, descriptor: int) -> None:
        self._children = Children()
        self._servers: list[asyncio.Server] = []
        self._serves: dict[str, Serve] = {
            "ping": self._ping,
            "warm": self._warm,
            "start": self._start,
            commands.NAME: self._command,
        }
        self.connection = ChannelConnection(descriptor, Side.GUEST, self._serves.get)

    async def _ping(self, reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        await reader.read()
        writer.write(b"here")

    async def _warm(self, reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        """Read what sessions start first, before a template is made of this guest."""
        command = Command(["/bin/sh", "-c", _WARM], folder="/", timeout=_WARMING)
        await run(command, reader, writer, self._children)
        os.sync()

    async def _start(self, reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        told = json.loads(await reader.read())
        time.clock_settime(time.CLOCK_REALTIME, told["time"])
        _reseed(base64.b64decode(told["entropy"]))
        _bound("pids.max", str(told["processes"]))
        for name, port in told["services"].items():
            self._servers.append(await asyncio.start_server(self._forward(name), "127.0.0.1", port))
        writer.write(b"started")

    async def _command(self, reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        (length,) = commands.LENGTH.unpack(await reader.readexactly(commands.LENGTH.size))
        request = commands.read_request(await reader.readexactly(length))
        await run(request, reader, writer, self._children)

    def _forward(
        self, service: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                outer_reader, outer_writer = self.connection.open(service)
            except ConnectionError:
                writer.transport.abort()
                return
            try:
                await asyncio.gather(_copy(reader, outer_writer), _copy(outer_reader, writer))
            except ConnectionError:
                outer_writer.abort()
                writer.transport.abort()
            else:
                outer_writer.close()
                writer.close()

        return serve


async def _copy(source: asyncio.StreamReader, target: StreamWriter | asyncio.StreamWriter) -> None:
    while data := await source.read(_PIECE):
        target.write(data)
        await target.drain()
    target.write_eof()


def _reseed(entropy: bytes) -> None:
    """Mix fresh entropy into the kernel's pool and use it from now on."""
    with open("/dev/urandom", "wb", buffering=0) as device:  # noqa: PTH123
        packed = struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy
        fcntl.ioctl(device, _RNDADDENTROPY, packed)
        fcntl.ioctl(device, _RNDRESEEDCRNG)


def _bound(name: str, value: str) -> None:
    with suppress(OSError):
        Path(GROUP, name).write_text(value)


def _make_group() -> None:
    """The control group of all commands: what they may have leaves the agent enough."""
    with suppress(OSError):
        Path("/sys/fs/cgroup/cgroup.subtree_control").write_text("+memory +pids")
        Path(GROUP).mkdir(exist_ok=True)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _bound("memory.max", str(total - total // _PARTS))
    _bound("pids.max", str(_PROCESSES))


def _port() -> int:
    """The channel's serial port, found by its name."""
    for _ in range(200):
        for entry in _PORTS.glob("*"):
            if (entry / "name").read_text().strip() == _PORT_NAME:
                return os.open(f"/dev/{entry.name}", os.O_RDWR | os.O_CLOEXEC)
        time.sleep(0.05)
    raise FileNotFoundError("no serial port of that name")


async def _main() -> None:
    _make_group()
    agent = GuestAgent(_port())
    await agent.connection.ended


def main() -> None:
    """Serve until the channel is over."""
    asyncio.run(_main())
    sys.exit("the channel is over")
