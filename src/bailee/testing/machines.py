"""Machines that isolate nothing, for tests of how sessions live and end.

`HostMachines` are processes of this host: commands run as they are, with the guest's workspace and
home in a temporary folder that goes with the machine; each service is reached over a real TCP
stream, at a port of its own, which takes the place of the guest's port in what a command is given.
`ScriptedMachines` run nothing at all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bailee.cloud.ports import GUEST_PORTS, Command, End, MachineLimits, Output, Service
from bailee.errors import MachineError


class HostMachine:
    """See `ports.Machine`."""

    def __init__(self, session: str, folder: Path, servers: Mapping[str, asyncio.Server]) -> None:
        self.session = session
        self.folder = folder
        self._servers = servers
        self._running: set[asyncio.subprocess.Process] = set()
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.commands: list[Command] = []

    @property
    def security(self) -> str:
        """None at all."""
        return "none"

    async def execute(self, command: Command, output: Output) -> int:
        """See `ports.Machine.execute`."""
        if self.ended.done():
            raise MachineError("the machine has ended.", code="machine_ended")
        self.commands.append(command)
        process = await asyncio.create_subprocess_exec(
            *(self._here(word) for word in command.argv),
            cwd=self._here(command.folder),
            env=self._environment(command.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._running.add(process)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with suppress(OSError):
                process.stdin.write(command.stdin)
                await process.stdin.drain()
                process.stdin.close()
            reading = asyncio.gather(
                _read("stdout", process.stdout, output), _read("stderr", process.stderr, output)
            )
            try:
                await asyncio.wait_for(reading, command.timeout)
            except TimeoutError:
                _kill(process)
                await process.wait()
                return 124
            status = await process.wait()
        except asyncio.CancelledError:
            _kill(process)
            raise
        finally:
            self._running.discard(process)
        if self.ended.done():
            raise MachineError("the machine has ended.", code="machine_ended")
        return status if status >= 0 else 128 - status

    async def destroy(self, reason: End) -> None:
        """See `ports.Machine.destroy`."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        for process in self._running:
            _kill(process)
        for server in self._servers.values():
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        programs = Path(sys.executable).parent
        made = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
        }
        return made | {name: self._here(value) for name, value in given.items()}

    def _here(self, text: str) -> str:
        """What a command is given, with the places of this machine in it."""
        for name, server in self._servers.items():
            port = server.sockets[0].getsockname()[1] if server.sockets else 0
            text = text.replace(f"127.0.0.1:{GUEST_PORTS[name]}", f"127.0.0.1:{port}")
        if text == "/workspace" or text.startswith("/workspace/"):
            return str(self.folder) + text
        return text


class HostMachines:
    """See `ports.Machines`. `started` are all that were; `refuse` is raised instead of starting."""

    def __init__(self, refuse: MachineError | None = None) -> None:
        self.refuse = refuse
        self.started: dict[str, HostMachine] = {}

    async def start(
        self,
        session: str,
        services: Mapping[str, Service],
        limits: MachineLimits,  # noqa: ARG002 - nothing is limited
    ) -> HostMachine:
        """See `ports.Machines.start`."""
        if self.refuse is not None:
            raise self.refuse
        folder = Path(tempfile.mkdtemp(prefix="bailee-host-machine-"))
        for name in ("workspace", "home"):
            (folder / name).mkdir()
        servers = {
            name: await asyncio.start_server(service, "127.0.0.1", 0)
            for name, service in services.items()
        }
        machine = HostMachine(session, folder, servers)
        self.started[session] = machine
        return machine


async def _read(stream: str, source: asyncio.StreamReader, output: Output) -> None:
    while data := await source.read(65_536):
        output(stream, data)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


Play = Callable[[Command, Output], Awaitable[int] | int]
"""What a scripted machine does with a command."""


class ScriptedMachine:
    """A machine that runs nothing: what its commands do is a function of the test's."""

    def __init__(self, session: str, services: Mapping[str, Service], play: Play) -> None:
        self.session = session
        self.services = services
        self.commands: list[Command] = []
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._play = play

    @property
    def security(self) -> str:
        """None at all."""
        return "none"

    async def execute(self, command: Command, output: Output) -> int:
        """See `ports.Machine.execute`."""
        if self.ended.done():
            raise MachineError("the machine has ended.", code="machine_ended")
        self.commands.append(command)
        result = self._play(command, output)
        if isinstance(result, int):
            return result
        work: asyncio.Future[int] = asyncio.ensure_future(_awaited(result))
        either: set[asyncio.Future[int] | asyncio.Future[End]] = {work, self.ended}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                work.cancel()
        if not work.done() or work.cancelled():
            raise MachineError("the machine has ended.", code="machine_ended")
        return work.result()

    async def destroy(self, reason: End) -> None:
        """See `ports.Machine.destroy`."""
        if not self.ended.done():
            self.ended.set_result(reason)


class ScriptedMachines:
    """Scripted machines with room for so many (`around.Hosts`). `failures` are raised, one by
    one, instead of starting a machine.
    """

    def __init__(self, play: Play, slots: int = 2) -> None:
        self.play = play
        self.failures: list[Exception] = []
        self.started: list[ScriptedMachine] = []
        self.taken: set[str] = set()
        self._free = asyncio.Semaphore(slots)

    async def room(self, session: str) -> None:
        """See `around.Hosts.room`."""
        await self._free.acquire()
        self.taken.add(session)

    def leave(self, session: str) -> None:
        """See `around.Hosts.leave`."""
        if session in self.taken:
            self.taken.remove(session)
            self._free.release()

    async def start(
        self,
        session: str,
        services: Mapping[str, Service],
        limits: MachineLimits,  # noqa: ARG002 - nothing is limited
    ) -> ScriptedMachine:
        """See `ports.Machines.start`."""
        if self.failures:
            raise self.failures.pop(0)
        machine = ScriptedMachine(session, services, self.play)
        self.started.append(machine)
        return machine


async def _awaited(work: Awaitable[int]) -> int:
    return await work
