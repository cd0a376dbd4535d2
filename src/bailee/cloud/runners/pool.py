"""The server's side of its runners: machines, wherever there is room for one.

Rules kept here:

* A stream is served only to who knows the machine's secret, and only a service that the machine was
  started with. A secret is made for one machine and forgotten with it.
* A runner that goes takes its machines with it: each ends as `runner_lost`.
* Rooms are counted here. Who wants one waits its turn.

Rows: C1.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.cloud.ports import Command, End, Machine, MachineLimits, Output, Service
from bailee.cloud.runners import wire
from bailee.errors import MachineError
from bailee.home.control_server import listen
from bailee.json_values import Json, JsonObject, members, text, whole

_FIRST_LINE_SECONDS: Final = 20.0
_ARRIVAL_SECONDS: Final = 60.0
_FAREWELL_SECONDS: Final = 15.0


class Runners:
    """The runners of a home, as `around.Hosts`. All of it belongs to one event loop."""

    def __init__(self, path: Path, *, launch: Callable[[], Awaitable[str]] | None = None) -> None:
        """`launch` starts a runner, when there is none and one is wanted; when that has ended, it
        gives what it complained about.
        """
        self._path = path
        self._launch = launch
        self._server: asyncio.Server | None = None
        self._runners: list[_Runner] = []
        self._given: dict[str, _Runner] = {}
        self._machines: dict[str, _Remote] = {}
        self._changed = asyncio.Event()
        self._launching: asyncio.Task[None] | None = None
        self._launches: set[asyncio.Future[str]] = set()
        self._open: set[asyncio.Task[object]] = set()

    # -- life --------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take runners in. A socket left by a process that died is replaced."""
        self._server = await listen(self._path, self._arrived, wire.LONGEST)

    async def close(self) -> None:
        """Let the runners go; they end what they lead."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        if self._launching is not None:
            self._launching.cancel()
        for runner in list(self._runners):
            runner.writer.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        if self._launches:  # what was launched here ends now, by itself
            await asyncio.wait(set(self._launches), timeout=_FAREWELL_SECONDS)
        for left in set(self._launches):
            left.cancel()
        await asyncio.gather(*self._launches, return_exceptions=True)

    @property
    def slots(self) -> tuple[int, int]:
        """How many machines there may be, and how many rooms are taken."""
        return sum(runner.slots for runner in self._runners), len(self._given)

    # -- rooms -----------------------------------------------------------------------------------

    async def room(self, session: str) -> None:
        """See `around.Hosts.room`."""
        while True:
            for runner in sorted(self._runners, key=lambda one: len(one.taken) - one.slots):
                if len(runner.taken) < runner.slots:
                    runner.taken.add(session)
                    self._given[session] = runner
                    return
            changed = self._changed
            if not self._runners and self._launch is not None:
                await self._launched()
                if self._runners:
                    continue
            await changed.wait()

    def leave(self, session: str) -> None:
        """See `around.Hosts.leave`."""
        runner = self._given.pop(session, None)
        if runner is not None:
            runner.taken.discard(session)
            self._wake()

    async def _launched(self) -> None:
        """Start a runner and wait until it is there; one at a time, whoever wants it."""
        if self._launching is None or self._launching.done():
            self._launching = asyncio.create_task(self._launch_one())
        await asyncio.shield(self._launching)

    async def _launch_one(self) -> None:
        assert self._launch is not None
        dead = asyncio.ensure_future(self._launch())
        self._launches.add(dead)
        dead.add_done_callback(self._launches.discard)
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                while not self._runners:
                    changed = asyncio.ensure_future(self._changed.wait())
                    await asyncio.wait({changed, dead}, return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
                    if dead.done() and not self._runners:
                        raise _no_runner(dead.result())
        except TimeoutError:
            raise _no_runner() from None

    # -- machines --------------------------------------------------------------------------------

    async def start(
        self, session: str, services: Mapping[str, Service], limits: MachineLimits
    ) -> Machine:
        """See `ports.Machines.start`; there is room, or none is needed any more."""
        runner = self._given.get(session)
        if runner is None or runner not in self._runners:
            raise MachineError("the runner went before it had a machine.", code="machine_ended")
        remote = _Remote(session, runner, services, secrets.token_hex(32))
        self._machines[session] = remote
        runner.machines.add(session)
        remote.ended.add_done_callback(lambda _: self._forget(remote))
        runner.tell(wire.start(session, remote.secret, sorted(services), limits))
        try:
            remote.security = await remote.started
        except asyncio.CancelledError:
            await remote.destroy(End.STOPPED)
            raise
        return remote

    def _forget(self, remote: _Remote) -> None:
        if self._machines.get(remote.name) is remote:
            del self._machines[remote.name]
        remote.runner.machines.discard(remote.name)

    # -- connections -----------------------------------------------------------------------------

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with asyncio.timeout(_FIRST_LINE_SECONDS):
                first = wire.read(await reader.readline())
            if "runner" in first:
                await self._control(reader, writer, whole(members(first["runner"])["slots"]))
            else:
                await self._stream(reader, writer, first)
        except (OSError, ValueError, KeyError, TypeError, TimeoutError):
            pass  # it went away, or is none of ours
        except asyncio.CancelledError:
            pass  # its session, or the server, has ended
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _control(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slots: int
    ) -> None:
        runner = _Runner(writer, slots)
        self._runners.append(runner)
        self._wake()
        try:
            while line := await reader.readline():
                self._heard(wire.read(line))
        finally:
            self._runners.remove(runner)
            for name in list(runner.machines):
                self._machines[name].lost()
            self._wake()

    def _heard(self, message: JsonObject) -> None:
        if "output" in message:
            remote, call = self._call(message["output"])
            if remote is not None:
                remote.calls[call].output(text(message["stream"]), wire.decoded(message["data"]))
        elif "exited" in message:
            remote, call = self._call(message["exited"])
            if remote is not None:
                remote.calls[call].done.set_result(whole(message["status"]))
        elif "failed" in message:
            remote, call = self._call(message["failed"])
            if remote is not None:
                remote.calls[call].done.set_exception(_gone())
        elif "started" in message:
            remote = self._machines.get(text(message["started"]))
            if remote is not None and not remote.started.done():
                remote.started.set_result(str(message["security"]))
        elif "refused" in message:
            remote = self._machines.get(text(message["refused"]))
            if remote is not None:
                hint = text(message["hint"]) or None
                remote.refused(text(message["code"]), text(message["message"]), hint)
        elif "ended" in message:
            remote = self._machines.get(text(message["ended"]))
            if remote is not None:
                remote.over(End(text(message["reason"])))

    def _call(self, named: Json) -> tuple[_Remote | None, int]:
        call = whole(named)
        for remote in self._machines.values():
            if call in remote.calls and not remote.calls[call].done.done():
                return remote, call
        return None, call

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: JsonObject
    ) -> None:
        remote = self._machines.get(text(first["machine"]))
        secret = str(first["secret"])
        # Compared also where there is no such machine, so that the time says nothing.
        good = hmac.compare_digest(secret, remote.secret if remote is not None else "0" * 64)
        if remote is None or not good:
            return
        service = remote.services.get(text(first["serve"]))
        if service is not None:
            await service(reader, writer)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(eq=False)
class _Runner:
    """A runner that is connected."""

    writer: asyncio.StreamWriter
    slots: int
    taken: set[str] = field(default_factory=set)
    machines: set[str] = field(default_factory=set)

    def tell(self, message: Mapping[str, object]) -> None:
        """Send it an order. To one that is gone nothing is said."""
        if not self.writer.is_closing():
            self.writer.write(wire.line(message))


@dataclass
class _Call:
    """A command under way."""

    output: Output
    done: asyncio.Future[int]


_CALLS = itertools.count(1)


class _Remote:
    """A machine that a runner leads; see `ports.Machine`."""

    def __init__(
        self, name: str, runner: _Runner, services: Mapping[str, Service], secret: str
    ) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.runner = runner
        self.services = services
        self.secret = secret
        self.security = ""
        self.calls: dict[int, _Call] = {}
        self.started: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[End] = loop.create_future()

    async def execute(self, command: Command, output: Output) -> int:
        """See `ports.Machine.execute`."""
        if self.ended.done():
            raise _gone()
        call = next(_CALLS)
        self.calls[call] = _Call(output, asyncio.get_running_loop().create_future())
        try:
            self.runner.tell(wire.execute(self.name, call, command))
            return await self.calls[call].done
        finally:
            del self.calls[call]

    async def destroy(self, reason: End) -> None:
        """See `ports.Machine.destroy`."""
        if not self.ended.done():
            self.runner.tell({"do": "destroy", "machine": self.name, "reason": reason})
            await asyncio.wait({self.ended})

    def over(self, reason: End) -> None:
        """It is gone."""
        if not self.ended.done():
            self.ended.set_result(reason)
        if not self.started.done():
            self.started.set_exception(_gone())
        for call in self.calls.values():
            if not call.done.done():
                call.done.set_exception(_gone())

    def lost(self) -> None:
        """Its runner is gone, and so is it."""
        self.over(End.RUNNER_LOST)

    def refused(self, code: str, message: str, hint: str | None) -> None:
        """It can't be had. One that died while it was being started is none either."""
        if code == "machine_ended":
            code = "no_machine"
        if not self.started.done():
            self.started.set_exception(MachineError(message, code=code, hint=hint))
        if not self.ended.done():
            self.ended.set_result(End.REFUSED)


def _gone() -> MachineError:
    return MachineError("the virtual machine has ended.", code="machine_ended")


def _no_runner(said: str = "") -> MachineError:
    """Why there is none, as the runner itself reported it."""
    found = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    return MachineError(
        found.get("error", "no runner could be started."),
        code="no_machine",
        hint=found.get("hint", "run `bailee cloud runner` by hand to see why"),
    )
