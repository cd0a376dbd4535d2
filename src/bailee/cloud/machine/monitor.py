"""QEMU's monitor (QMP), on a socket: one command after the other, and events."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress

from bailee.errors import MachineError
from bailee.json_values import Json, JsonObject, members, text

Told = Callable[[str, JsonObject], None]
"""Takes an event's name and its data."""


class Monitor:
    """A connection to a monitor. What comes from it is QEMU's, which a guest may have taken over:
    lines are bounded, and what is no answer ends the connection.
    """

    def __init__(self, end: socket.socket, told: Told) -> None:
        self._socket = end
        self._told = told
        self._answer: asyncio.Future[JsonObject] | None = None
        self._turn = asyncio.Lock()
        self._ready = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Connect and leave the negotiation."""
        reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=1 << 20)
        self._reading = asyncio.create_task(self._read(reader))
        await self._ready
        await self.run("qmp_capabilities")

    async def run(
        self, command: str, *, descriptor: int | None = None, **arguments: object
    ) -> Json:
        """Run a command, with a descriptor that goes along; gives what it returns.

        Raises:
            MachineError: QEMU refused it, or is gone.
        """
        async with self._turn:
            self._answer = asyncio.get_running_loop().create_future()
            request: dict[str, object] = {"execute": command}
            if arguments:
                request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
            data = json.dumps(request).encode() + b"\n"
            if self._reading.done():
                raise MachineError("the emulator is gone.")
            if descriptor is None:
                self._writer.write(data)
            else:
                socket.send_fds(self._socket, [data], [descriptor])
            answer = await self._answer
        if "error" in answer:
            raise MachineError(
                f"the emulator refused {command}: {members(answer['error']).get('desc')}"
            )
        return answer.get("return")

    async def close(self) -> None:
        """End the connection."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "QMP" in message:
                    self._ready.set_result(None)
                elif "event" in message:
                    self._told(text(message["event"]), members(message.get("data")))
                elif self._answer is not None and not self._answer.done():
                    self._answer.set_result(message)
        except (ValueError, OSError):
            pass
        finally:
            gone = MachineError("the emulator is gone.")
            for waiting in (self._ready, self._answer):
                if waiting is not None and not waiting.done():
                    waiting.set_exception(gone)
                    waiting.exception()  # read, should nobody wait any more
