"""What leading cloud sessions costs, apart from their machines.

Streams: what a program in a machine sends to a service passes a runner and the server, where one
coupling would do if the machine were led in the server; what does that cost in processor time,
which noise does not change? Sessions: what one takes from its task to its end, with store, keyring
and audit record on disk, in a machine that does nothing; and of memory, while it waits.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from bailee.cloud.coupling import couple
from bailee.cloud.ports import Command, MachineLimits, Output
from bailee.cloud.runners.pool import Runners
from bailee.cloud.runners.runner import run
from bailee.outbound.streams import Writer
from bailee.testing.machines import ScriptedMachines
from bench.result import Line

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

MEGABYTES = 200
SESSIONS = 100
AT_ONCE = 200


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory() as folder:
        through, direct = asyncio.run(_streams(Path(folder)))
        each, processor = asyncio.run(_sessions(Path(folder)))
        kept = asyncio.run(_waiting(Path(folder)))
    print(f"a stream through a runner {through:.1f} ms/MB, without one {direct:.1f} ms/MB")
    print(f"{each:.0f} sessions/s, {processor * 1000:.1f} ms of processor each")
    print(f"{kept / 1000:.0f} kB of memory for a session that waits")
    ratio = f"{through / direct:.2f} of {direct:.1f} ms without a runner between"
    return [
        ("stream through a runner", f"{through:.1f} ms of processor for 1 MB", ratio),
        ("sessions led", f"{each:.0f}/s", f"{processor * 1000:.1f} ms of processor each"),
        (f"memory, {AT_ONCE} sessions in a runner", f"{kept / 1000:.0f} kB each", ""),
    ]


async def _drain(reader: asyncio.StreamReader, writer: Writer) -> None:
    """A service that takes all and answers when it has."""
    while await reader.read(1 << 16):
        pass
    writer.write(b"done")
    writer.write_eof()
    await writer.drain()
    writer.close()


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Milliseconds of processor for a megabyte, sender and receiver included."""
    piece = bytes(1 << 16)
    began = time.process_time()
    for _ in range(MEGABYTES * 16):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    assert await reader.read() == b"done"
    writer.close()
    return (time.process_time() - began) * 1000 / MEGABYTES


async def _streams(folder: Path) -> tuple[float, float]:
    """Through a runner's relay, and through one coupling alone, as a machine's channel would."""
    pool = Runners(folder / "runners.sock")
    await pool.listen()
    machines = ScriptedMachines(_nothing)
    running = asyncio.create_task(run(folder / "runners.sock", machines, 1))
    await pool.room("cs-1")
    await pool.start("cs-1", {"model": _drain}, MachineLimits())
    relay = machines.started[0].services["model"]

    async def straight(reader: asyncio.StreamReader, writer: Writer) -> None:
        there, back = await asyncio.open_unix_connection(folder / "service.sock")
        await couple(reader, writer, there, back)

    service = await asyncio.start_unix_server(_drain, folder / "service.sock")
    found = []
    for name, served in (("through", relay), ("direct", straight)):
        server = await asyncio.start_unix_server(served, folder / f"{name}.sock")
        await _send(*await asyncio.open_unix_connection(folder / f"{name}.sock"))
        found.append(await _send(*await asyncio.open_unix_connection(folder / f"{name}.sock")))
        server.close()
    service.close()
    await pool.close()
    await running
    return found[0], found[1]


async def _sessions(folder: Path) -> tuple[float, float]:
    """Sessions each second, and seconds of processor for each."""
    from support.machines.cloud_yard import Yard

    yard = Yard(folder)
    try:
        async with yard.open(slots=4, waiting=SESSIONS + 1, account=SESSIONS + 1) as sessions:
            began, used = time.perf_counter(), time.process_time()
            asked = [yard.request(sessions) for _ in range(SESSIONS)]
            await asyncio.gather(*(sessions.run(one) for one in asked))
            took = time.perf_counter() - began
            return SESSIONS / took, (time.process_time() - used) / SESSIONS
    finally:
        yard.node.close()


async def _waiting(folder: Path) -> float:
    """Bytes of memory that a session which waits takes, server's and runner's side together."""
    pool = Runners(folder / "many.sock")
    await pool.listen()
    machines = ScriptedMachines(_nothing)
    running = asyncio.create_task(run(folder / "many.sock", machines, AT_ONCE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(AT_ONCE):
        await pool.room(f"cs-{number}")
        machine = await pool.start(f"cs-{number}", {"model": _drain}, MachineLimits())
        await machine.execute(Command(("true",)), lambda *_: None)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await pool.close()
    await running
    return grown * 1024 / AT_ONCE


def _nothing(_command: Command, _output: Output) -> int:
    return 0
