"""Runners over a real socket: rooms, streams with a secret, output, and what goes when one goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bailee.cloud.ports import GUEST_PORTS, Command, End, Machine, MachineLimits, Output
from bailee.cloud.runners import wire
from bailee.cloud.runners.pool import Runners
from bailee.cloud.runners.runner import run
from bailee.cloud.runners.warm import WarmMachines
from bailee.errors import MachineError
from bailee.outbound.streams import Writer
from bailee.testing.machines import HostMachines, ScriptedMachine, ScriptedMachines

LIMITS = MachineLimits()


def quiet(command: Command, output: Output) -> int:
    """A command that says what it is given, and ends with 7."""
    output("stdout", " ".join(command.argv).encode())
    output("stderr", command.stdin)
    return 7


async def echo(reader: asyncio.StreamReader, writer: Writer) -> None:
    """A service that gives back what it is sent."""
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def runners(path: Path, *machines: ScriptedMachines | HostMachines) -> AsyncIterator[Runners]:
    """A server's side with a runner for each of `machines`, two rooms each."""
    pool = Runners(path / "runners.sock")
    await pool.listen()
    running = [asyncio.create_task(run(path / "runners.sock", one, 2)) for one in machines]
    async with asyncio.timeout(20):
        while pool.slots[0] < 2 * len(machines):
            await asyncio.sleep(0.01)
    yield pool
    await pool.close()
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def started(pool: Runners, session: str) -> Machine:
    """A machine of the pool's."""
    await pool.room(session)
    return await pool.start(session, {"model": echo}, LIMITS)


@pytest.mark.row("C1")
def test_a_runners_machine_does_as_any_does(tmp_path: Path) -> None:
    """Commands with their input, output and status; its end, and the reason."""

    async def live() -> None:
        machines = ScriptedMachines(quiet)
        async with runners(tmp_path, machines) as pool:
            machine = await started(pool, "cs-1")
            said: list[tuple[str, bytes]] = []
            command = Command(("count", "trees"), {"A": "b"}, "/workspace", b"\x00\xff", 3.0, True)
            status = await machine.execute(command, lambda name, data: said.append((name, data)))
            assert (7, [("stdout", b"count trees"), ("stderr", b"\x00\xff")]) == (status, said)
            assert [command] == machines.started[0].commands
            assert "none" == machine.security
            await machine.destroy(End.STOPPED)
            assert (End.STOPPED, End.STOPPED) == (
                machine.ended.result(),
                machines.started[0].ended.result(),
            )
            with pytest.raises(MachineError):
                await machine.execute(command, lambda *_: None)

    asyncio.run(live())


@pytest.mark.row("C1", "C2")
def test_a_stream_is_served_to_who_knows_the_secret(tmp_path: Path) -> None:
    """What a machine's program sends reaches the server's service; with another secret, another
    machine or a service that was not named, nothing is served.
    """

    async def ask(path: Path, name: str, machine: str, secret: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(path / "runners.sock")
        writer.write(wire.line({"serve": name, "machine": machine, "secret": secret}) + b"hello")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    async def live() -> None:
        machines = HostMachines()
        async with runners(tmp_path, machines) as pool:
            await started(pool, "cs-1")
            await started(pool, "cs-2")
            own = machines.started["cs-1"]._servers["model"].sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", own)
            writer.write(b"from inside")
            writer.write_eof()
            assert b"from inside" == await reader.read()
            writer.close()
            secret, other = (pool._machines[name].secret for name in ("cs-1", "cs-2"))
            assert b"hello" == await ask(tmp_path, "model", "cs-1", secret)
            for wrong in (
                ("model", "cs-1", other),
                ("git", "cs-1", secret),
                ("model", "x", secret),
            ):
                assert b"" == await ask(tmp_path, *wrong)

    asyncio.run(live())


@pytest.mark.row("C1")
def test_a_runner_that_goes_takes_its_machines_and_nobody_elses(tmp_path: Path) -> None:
    """They end as `runner_lost`, what runs in them fails; the other runner's go on."""

    async def live() -> None:
        hold = asyncio.Event()

        def waits(command: Command, output: Output) -> Awaitable[int] | int:
            async def wait() -> int:
                await hold.wait()
                return 0

            return wait()

        async with runners(tmp_path, ScriptedMachines(waits), ScriptedMachines(quiet)) as pool:
            found = [await started(pool, f"cs-{number}") for number in range(4)]
            first = pool._runners[0]
            lost = [m for m in found if m.runner is first]  # type: ignore[attr-defined]
            kept = [m for m in found if m.runner is not first]  # type: ignore[attr-defined]
            assert (2, 2) == (len(lost), len(kept))
            command = asyncio.create_task(lost[0].execute(Command(("x",)), lambda *_: None))
            await asyncio.sleep(0.05)
            first.writer.transport.abort()
            assert [End.RUNNER_LOST] * 2 == [await machine.ended for machine in lost]
            with pytest.raises(MachineError):
                await command
            assert [False, False] == [machine.ended.done() for machine in kept]
            assert 2 == pool.slots[0]

    asyncio.run(live())


@pytest.mark.row("C1")
def test_a_runner_ends_its_machines_when_its_server_goes(tmp_path: Path) -> None:
    """The connection's end is enough, however it comes."""

    async def live() -> list[ScriptedMachine]:
        machines = ScriptedMachines(quiet)
        async with runners(tmp_path, machines) as pool:
            await started(pool, "cs-1")
            pool._runners[0].writer.transport.abort()
            async with asyncio.timeout(20):
                await machines.started[0].ended
        return machines.started

    assert [End.RUNNER_LOST] == [one.ended.result() for one in asyncio.run(live())]


def test_a_runner_that_can_start_none_says_why(tmp_path: Path) -> None:
    """Code, message and hint of the refusal come through."""

    async def live() -> MachineError:
        machines = HostMachines(MachineError("no image.", code="no_machine", hint="build one"))
        async with runners(tmp_path, machines) as pool:
            await pool.room("cs-1")
            with pytest.raises(MachineError) as refused:
                await pool.start("cs-1", {"model": echo}, LIMITS)
            return refused.value

    error = asyncio.run(live())
    assert ("no_machine", "no image.", "build one") == (error.code, error.message, error.hint)


def test_rooms_are_given_in_turn_and_given_back(tmp_path: Path) -> None:
    """Who wants a room waits until one is left, or another runner comes."""

    async def live() -> None:
        async with runners(tmp_path, ScriptedMachines(quiet)) as pool:
            await pool.room("a")
            await pool.room("b")
            third = asyncio.create_task(pool.room("c"))
            await asyncio.sleep(0.05)
            assert not third.done()
            pool.leave("a")
            await asyncio.wait_for(third, 20)
            assert (2, 2) == pool.slots

    asyncio.run(live())


def test_a_runner_is_launched_when_one_is_wanted(tmp_path: Path) -> None:
    """The first session starts one; if it ends without having come, that is said."""

    async def live() -> int:
        launched = 0

        async def launch() -> str:
            nonlocal launched
            launched += 1
            await run(tmp_path / "runners.sock", ScriptedMachines(quiet), 2)
            return ""

        async def fails() -> str:
            return "error: there is no image.\nhint: build one\n"

        pool = Runners(tmp_path / "runners.sock", launch=launch)
        await pool.listen()
        await asyncio.gather(pool.room("a"), pool.room("b"))
        await pool.close()
        pool = Runners(tmp_path / "runners.sock", launch=fails)
        await pool.listen()
        with pytest.raises(MachineError, match="there is no image") as refused:
            await pool.room("a")
        assert "build one" == refused.value.hint
        await pool.close()
        return launched

    assert 1 == asyncio.run(live())


@pytest.mark.parametrize(
    "sent", [b"", b"no json\n", b"[]\n", b'{"runner":{}}\n', b'{"serve":"git"}\n']
)
def test_what_is_no_runner_is_shown_out(tmp_path: Path, sent: bytes) -> None:
    """Whatever comes first that is not understood ends that connection and nothing else."""

    async def live() -> None:
        async with runners(tmp_path, ScriptedMachines(quiet)) as pool:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "runners.sock")
            writer.write(sent)
            writer.write_eof()
            assert b"" == await asyncio.wait_for(reader.read(), 30)
            writer.close()
            assert 7 == await (await started(pool, "cs-1")).execute(
                Command(("x",)), lambda *_: None
            )

    asyncio.run(live())


@pytest.mark.row("C1")
def test_a_warm_machine_is_given_once_and_served_only_then(tmp_path: Path) -> None:
    """Before it is given away its streams end at once; afterwards they lead to its session's
    services; what is asked for with other limits is started anew.
    """

    async def live() -> None:
        machines = ScriptedMachines(quiet)
        async with WarmMachines(machines, LIMITS, 2) as warm:
            await _until(lambda: warm.waiting == 2)
            services = machines.started[0].services
            assert set(GUEST_PORTS) == set(services)
            assert b"" == await _said(services["model"])
            given = await warm.start("cs-1", dict.fromkeys(GUEST_PORTS, echo), LIMITS)
            assert given is machines.started[0]
            assert b"hello" == await _said(services["model"])
            assert b"" == await _said(machines.started[1].services["model"])
            await _until(lambda: warm.waiting == 2)
            other = await warm.start(
                "cs-2", dict.fromkeys(GUEST_PORTS, echo), MachineLimits(cpus=2)
            )
            assert other is machines.started[-1]
        assert all(one.ended.done() for one in machines.started[1:3])
        assert not given.ended.done()

    asyncio.run(live())


async def _said(service: object) -> bytes:
    """What a service answers to a greeting, over a real stream."""
    server = await asyncio.start_server(service, "127.0.0.1", 0)  # type: ignore[arg-type]
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"hello")
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionResetError:  # it was ended before the greeting was read
        return b""
    finally:
        writer.close()
        server.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
