"""QEMU as a process of ours: started, watched, killed.

It dies with the thread that started it (the parent-death signal is the thread's), so machines are
started in the thread of an event loop that lives as long as they should.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.cloud.channel.connection import Accept, ChannelConnection
from bailee.cloud.channel.frames import Side
from bailee.cloud.image.store import Image
from bailee.cloud.machine import disk
from bailee.cloud.machine.clock_rate import tsc_khz
from bailee.cloud.machine.command_line import (
    Accelerator,
    InheritedDescriptors,
    Memory,
    command_line,
)
from bailee.cloud.machine.confinement import Confinement, confine
from bailee.cloud.machine.monitor import Monitor, Told
from bailee.cloud.ports import MachineLimits
from bailee.errors import MachineError

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_ENVIRONMENT: Final = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
_MOST_ANSWER: Final = 64
_LAST_WORDS: Final = 10  # lines of what QEMU says on standard error


@dataclass(slots=True)
class Emulator:
    """A running QEMU, with its channel, monitor and scratch disk."""

    process: asyncio.subprocess.Process
    connection: ChannelConnection
    monitor: Monitor
    handle: int  # a descriptor of the process
    scratch: int
    confinement: Confinement
    said: deque[str]
    _listening: asyncio.Task[None]

    @classmethod
    async def start(
        cls,
        image: Image,
        limits: MachineLimits,
        *,
        accelerator: Accelerator,
        memory: Memory,
        scratch: int,
        accept: Accept,
        told: Told,
        group: Path | None,
        incoming: bool = False,
    ) -> Emulator:
        """Start it; it takes the descriptor `scratch`.

        Raises:
            MachineError: it can't be started.
        """
        confinement = confine(limits, os.fstat(scratch).st_size, group)
        channel, inner_channel = socket.socketpair()
        monitor, inner_monitor = socket.socketpair()
        try:
            words = command_line(
                kernel=image.kernel,
                initramfs=image.initramfs,
                disks=image.disks,
                accelerator=accelerator,
                cpus=limits.cpus,
                memory=memory,
                descriptors=InheritedDescriptors(
                    inner_channel.fileno(), inner_monitor.fileno(), scratch
                ),
                tsc_khz=tsc_khz(),
                incoming=incoming,
            )
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-I",
                    str(_LAUNCH),
                    str(os.getpid()),
                    confinement.limits,
                    *words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    env=_ENVIRONMENT,
                    pass_fds=(inner_channel.fileno(), inner_monitor.fileno(), scratch),
                    start_new_session=True,
                )
            except OSError as error:
                raise MachineError(
                    f"the emulator can't be started: {error.strerror}.", code="no_machine"
                ) from None
        except BaseException:
            for end in (channel, monitor):
                end.close()
            os.close(scratch)
            confinement.remove()
            raise
        finally:
            inner_channel.close()
            inner_monitor.close()
        said: deque[str] = deque(maxlen=_LAST_WORDS)
        assert process.stderr is not None
        self = cls(
            process,
            ChannelConnection(channel.detach(), Side.HOST, accept),
            Monitor(monitor, told),
            os.pidfd_open(process.pid),
            scratch,
            confinement,
            said,
            asyncio.create_task(_listen(process.stderr, said)),
        )
        try:
            await self.monitor.start()
        except MachineError:
            await self.kill()
            raise MachineError(
                f"the emulator did not start: {' '.join(said)}", code="no_machine"
            ) from None
        except BaseException:
            await self.kill()
            raise
        return self

    async def kill(self) -> int:
        """End it at once, and wait until it and all it had is gone; gives its exit status."""
        self.end()
        return await self.gone()

    def end(self) -> None:
        """Kill it. By its descriptor: a number could be another's by now, and asyncio's own way
        would take its exit status from whoever waits for it.
        """
        if self.handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    async def gone(self) -> int:
        """Wait until the process has ended, then let go of everything; gives its exit status."""
        status = await self.process.wait()
        await self.connection.close("the emulator has ended")
        await self.monitor.close()
        await asyncio.wait([self._listening], timeout=1)
        self._listening.cancel()
        if self.handle >= 0:
            os.close(self.handle)
            os.close(self.scratch)
            self.handle = self.scratch = -1
        self.confinement.remove()
        return status

    async def ping(self, patience: float) -> None:
        """Wait until the guest's agent answers.

        Raises:
            MachineError: it does not, in so many seconds, or the machine ended.
        """
        try:
            async with asyncio.timeout(patience):
                answer = await ask(self.connection, "ping", b"")
        except TimeoutError:
            raise MachineError(
                f"the guest did not answer within {patience:.0f} seconds.", code="no_machine"
            ) from None
        if answer != b"here":
            await asyncio.wait([asyncio.ensure_future(self.process.wait())], timeout=1)
            raise MachineError(
                f"the machine ended while it started. {' '.join(self.said)}".strip(),
                code="no_machine",
            )


async def ask(connection: ChannelConnection, name: str, request: bytes) -> bytes:
    """Say something on a stream of its own and give the answer; empty when there is none."""
    try:
        reader, writer = connection.open(name)
        writer.write(request)
        writer.write_eof()
        answer = b""
        while len(answer) < _MOST_ANSWER and (piece := await reader.read(_MOST_ANSWER)):
            answer += piece
        writer.close()
    except ConnectionError:
        return b""
    return answer


async def _listen(stderr: asyncio.StreamReader, said: deque[str]) -> None:
    with suppress(ValueError):
        while line := await stderr.readline():
            said.append(line[:300].decode(errors="replace").strip())


def new_scratch(folder: Path, limits: MachineLimits) -> int:
    """A scratch disk for a machine; gives its descriptor."""
    return disk.unnamed(folder, disk.size_for(limits.disk))
