"""A runner: leads machines as the server of its home says, until either of them ends.

Whatever ends the process or its connection, its machines go: here they are destroyed, and what is
not destroyed here (a kill -9) goes with the process, as `ports.Machines` promises.

Rows: C1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bailee.cloud.coupling import couple
from bailee.cloud.ports import End, Machine, Machines, Service
from bailee.cloud.runners import wire
from bailee.errors import BaileeError, MachineError
from bailee.home.control import reachable
from bailee.json_values import JsonObject, elements, text
from bailee.outbound.streams import Writer

_PIECE: Final = 48 << 10
_BACKLOG: Final = 32 << 20
_LEFT_OUT: Final = b"\n[output left out: it came faster than it could be taken]\n"


async def run(path: Path, machines: Machines, slots: int) -> None:
    """Lead up to `slots` machines for the server at `path`, until it goes.

    Raises:
        MachineError: code `no_server`, there is none.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(reachable(path), limit=wire.LONGEST)
    except OSError:
        raise MachineError(
            "no server accepts runners here.",
            code="no_server",
            hint="start `bailee up` on this home first",
        ) from None
    await Runner(path, machines, writer).lead(reader, slots)


class Runner:
    """Leads the machines of one process, by the orders of a server. Its process owns it; all of it
    runs on one event loop. It has no key and no credential, and ends every machine with its server.
    """

    def __init__(self, path: Path, machines: Machines, writer: asyncio.StreamWriter) -> None:
        self._address = reachable(path)
        self._machines = machines
        self._writer = writer
        self._led: dict[str, Machine] = {}
        self._unwanted: dict[str, End] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def lead(self, reader: asyncio.StreamReader, slots: int) -> None:
        """Do what is asked for until the server goes; then nothing is left."""
        self._tell({"runner": {"slots": slots}})
        try:
            while line := await reader.readline():
                self._take(wire.read(line))
        except OSError:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            led = list(self._led.values())
            await asyncio.gather(*(machine.destroy(End.RUNNER_LOST) for machine in led))
            self._writer.close()

    def _take(self, order: JsonObject) -> None:
        name = text(order["machine"])
        if order["do"] == "start":
            work = self._start(name, order)
        elif order["do"] == "execute":
            work = self._execute(name, order)
        else:
            work = self._destroy(name, End(text(order["reason"])))
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, name: str, order: JsonObject) -> None:
        secret = text(order["secret"])
        wanted = map(text, elements(order["services"]))
        services = {one: self._dialing(one, name, secret) for one in wanted}
        try:
            machine = await self._machines.start(name, services, wire.limits_of(order))
        except BaileeError as error:
            refusal = {"code": error.code, "message": error.message, "hint": error.hint}
            self._tell({"refused": name, **refusal})
            return
        except Exception as error:
            message = f"the machine could not be started ({type(error).__name__})."
            self._tell({"refused": name, "code": "no_machine", "message": message, "hint": None})
            return
        self._led[name] = machine
        if name in self._unwanted:
            await machine.destroy(self._unwanted.pop(name))
        self._tell({"started": name, "security": machine.security})
        reason = await asyncio.shield(machine.ended)
        self._led.pop(name, None)
        self._tell({"ended": name, "reason": reason})

    async def _execute(self, name: str, order: JsonObject) -> None:
        call, machine = order["call"], self._led.get(name)
        if machine is None:
            self._tell({"failed": call})
            return
        left_out = False

        def output(stream: str, data: bytes) -> None:
            nonlocal left_out
            if self._writer.transport.get_write_buffer_size() > _BACKLOG:
                data, said = _LEFT_OUT, left_out
                left_out = True
                if said:
                    return
            else:
                left_out = False
            for at in range(0, len(data), _PIECE):
                piece = wire.encoded(data[at : at + _PIECE])
                self._tell({"output": call, "stream": stream, "data": piece})

        try:
            status = await machine.execute(wire.command_of(order), output)
        except Exception:  # the machine's, or a command that can't be one
            self._tell({"failed": call})
        else:
            self._tell({"exited": call, "status": status})

    async def _destroy(self, name: str, reason: End) -> None:
        machine = self._led.get(name)
        if machine is not None:
            await machine.destroy(reason)
        else:
            self._unwanted[name] = reason  # it is being started yet

    def _tell(self, message: Mapping[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(wire.line(message))

    def _dialing(self, service: str, name: str, secret: str) -> Service:
        """A service that is served by the server, over a connection for each stream."""

        async def dial(reader: asyncio.StreamReader, writer: Writer) -> None:
            try:
                there, back = await asyncio.open_unix_connection(self._address)
            except OSError:
                writer.close()
                return
            back.write(wire.line({"serve": service, "machine": name, "secret": secret}))
            await couple(reader, writer, there, back)

        return dial
