"""A machine that runs: commands go in, and it ends for one reason, once.

Who ends it is whoever says so first: the host (`destroy`), a limit, the guest (its kernel panicked,
its agent died, it broke the channel's rules), or whoever killed the emulator. In every case the
process is killed and waited for, and what it had is closed, before `ended` is done.

Rows: C1.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from bailee.cloud.channel import commands
from bailee.cloud.channel.connection import StreamWriter
from bailee.cloud.machine import disk
from bailee.cloud.machine.command_line import Accelerator
from bailee.cloud.machine.process import Emulator, ask
from bailee.cloud.ports import GUEST_PORTS, Command, End, MachineLimits, Output
from bailee.errors import InputError, MachineError
from bailee.json_values import JsonObject

_LOOK: Final = 1.0  # seconds between two looks at the limits
_PIECE: Final = 65536
_DYING: Final = 5.0  # seconds for a process whose channel was lost to say how it ended
_STARTING: Final = 60.0


class QemuMachine:
    """Implements `ports.Machine`."""

    def __init__(self, emulator: Emulator, accelerator: Accelerator, limits: MachineLimits) -> None:
        self._emulator = emulator
        self._accelerator = accelerator
        self._limits = limits
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._reason: End | None = None
        self._watching = [
            asyncio.create_task(self._watch_limits()),
            asyncio.create_task(self._watch_end()),
        ]

    @property
    def ended(self) -> asyncio.Future[End]:
        """Done when the machine is gone."""
        return self._ended

    @property
    def security(self) -> str:
        """`kvm` or `emulation`."""
        return self._accelerator.value

    @property
    def process(self) -> int:
        """The emulator's process."""
        return self._emulator.process.pid

    async def begin(self, services: Mapping[str, int]) -> None:
        """Tell the guest that a session begins: what time it is, fresh entropy, its services.

        Raises:
            MachineError: it did not take it.
        """
        told = commands.encode_start(
            time.time(), secrets.token_bytes(256), dict(services), self._limits.processes
        )
        answer = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STARTING):
                answer = await ask(self._emulator.connection, "start", told)
        if answer != b"started":
            await self.destroy(End.GUEST_CRASHED)
            raise MachineError("the guest did not begin.", code="no_machine")

    async def execute(self, command: Command, output: Output) -> int:
        """Run a command and give its exit status.

        Raises:
            InputError: it is longer than a command may be, or none.
            MachineError: the machine ended before the command did.
        """
        try:
            request = commands.request(command)
        except ValueError as error:
            raise InputError(f"{error}.") from None
        records = commands.Records()
        try:
            reader, writer = self._emulator.connection.open(commands.NAME)
            feeding = asyncio.create_task(_feed(writer, request, command.stdin))
            try:
                while records.status is None and (data := await reader.read(_PIECE)):
                    for name, piece in records.receive(data):
                        output(name, piece)
            finally:
                feeding.cancel()
                await asyncio.wait([feeding])
                writer.abort()
        except ConnectionError:
            pass
        except ValueError:
            await self.destroy(End.GUEST_CRASHED)
        if records.status is None:
            await self._failed()
            raise MachineError(f"the machine ended before its command: {self._ended.result()}.")
        return records.status

    async def destroy(self, reason: End) -> None:
        """End it and wait until nothing of it is left."""
        self._end(reason)
        await asyncio.shield(self._ended)

    def told(self, event: str, data: JsonObject) -> None:
        """Take an event of the emulator's monitor."""
        if event == "BLOCK_IO_ERROR" and self._reason is None and data.get("nospace"):
            self._end(End.DISK)

    async def _failed(self) -> None:
        """A command has no status: the machine is ending, or its guest can't be relied upon."""
        if self._emulator.connection.ended.done():
            await asyncio.wait([self._ended], timeout=2 * _DYING)
        await self.destroy(End.GUEST_CRASHED)

    def _end(self, reason: End) -> None:
        if self._reason is None:
            self._reason = reason
            self._emulator.end()

    async def _watch_limits(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + self._limits.wall_clock
        moved, since = -1, loop.time()
        while self._reason is None:
            now = loop.time()
            if self._emulator.connection.moved != moved:
                moved, since = self._emulator.connection.moved, now
            if now >= latest:
                self._end(End.WALL_CLOCK)
            elif now - since >= self._limits.idle:
                self._end(End.IDLE)
            elif disk.used(self._emulator.scratch) > self._limits.disk:
                self._end(End.DISK)
            else:
                await asyncio.sleep(min(_LOOK, latest - now, since + self._limits.idle - now))

    async def _watch_end(self) -> None:
        process = asyncio.create_task(self._emulator.process.wait())
        channel = self._emulator.connection.ended
        either: list[asyncio.Future[int] | asyncio.Future[str]] = [process, channel]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not process.done():
            lost = channel.result() == "lost"
            if lost:
                await asyncio.wait([process], timeout=_DYING)
            if not process.done():
                self._end(End.GUEST_CRASHED)
        status = await process
        if self._reason is None:
            self._reason = End.MACHINE_KILLED if status < 0 else End.GUEST_CRASHED
        await self._emulator.gone()
        self._watching[0].cancel()
        self._ended.set_result(self._reason)


def ports_of(names: Mapping[str, object]) -> dict[str, int]:
    """The guest's port of each service.

    Raises:
        InputError: there is no such service.
    """
    if unknown := set(names) - set(GUEST_PORTS):
        raise InputError(f"no service is called {', '.join(sorted(unknown))}.")
    return {name: GUEST_PORTS[name] for name in names}


async def _feed(writer: StreamWriter, request: bytes, stdin: bytes) -> None:
    writer.write(request)
    with suppress(ConnectionError):
        for place in range(0, len(stdin), _PIECE):
            writer.write(stdin[place : place + _PIECE])
            await writer.drain()
        writer.write_eof()
