"""Both ends of a channel over a socket pair, on both event loops: streams behave as sockets do."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from bailee.cloud.channel.connection import Accept, ChannelConnection, StreamWriter
from bailee.cloud.channel.frames import Bounds, FrameKind, Side

Run = Callable[[Awaitable[None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a dialogue on a loop of its own."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:

        async def bounded(dialogue: Awaitable[None]) -> None:
            async with asyncio.timeout(60):
                await dialogue

        yield lambda dialogue: runner.run(bounded(dialogue))


def nobody(name: str) -> None:
    """Serves no stream."""


def pair(
    accept: Accept = nobody, bounds: Bounds | None = None
) -> tuple[ChannelConnection, ChannelConnection]:
    """The host's end, which serves, and the guest's."""
    ours, theirs = socket.socketpair()
    return (
        ChannelConnection(ours.detach(), Side.HOST, accept, bounds),
        ChannelConnection(theirs.detach(), Side.GUEST, nobody, bounds),
    )


async def echo(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
    """Gives back what comes."""
    while data := await reader.read(5000):
        writer.write(data)
        await writer.drain()


def test_many_streams_at_once_each_get_their_own_bytes_back(run: Run) -> None:
    """Sixteen streams with more data than any window: all of it comes back, to the right one."""

    async def dialogue() -> None:
        host, guest = pair(lambda name: echo if name == "git" else None)

        async def talk(number: int) -> None:
            said = random.Random(number).randbytes(300_000)
            reader, writer = guest.open("git")

            async def say() -> None:
                for place in range(0, len(said), 7000):
                    writer.write(said[place : place + 7000])
                    await writer.drain()
                writer.write_eof()

            _, heard = await asyncio.gather(say(), reader.read())
            assert said == heard
            await writer.wait_closed()

        await asyncio.gather(*(talk(number) for number in range(16)))
        assert (0, 0) == (host.multiplexer.streams, guest.multiplexer.streams)
        await asyncio.gather(host.close(), guest.close())

    run(dialogue())


def test_a_service_that_is_not_there_is_a_reset(run: Run) -> None:
    """A stream by an unknown name ends at once; the channel goes on."""

    async def dialogue() -> None:
        host, guest = pair(lambda name: echo if name == "git" else None)
        reader, _ = guest.open("nothing")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        reader, writer = guest.open("git")
        writer.write(b"x")
        writer.write_eof()
        assert b"x" == await reader.read()
        await asyncio.gather(host.close(), guest.close())

    run(dialogue())


def test_a_writer_waits_for_a_reader_that_does_not_read(run: Run) -> None:
    """What is held for a stream that nobody reads is bounded, and other streams go on."""

    async def dialogue() -> None:
        stuck = asyncio.Event()

        async def never_reads(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
            await stuck.wait()

        host, guest = pair({"stuck": never_reads, "git": echo}.get)
        _, stuck_writer = guest.open("stuck")
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    stuck_writer.write(b"x" * 10_000)
                    sent += 10_000
                    await stuck_writer.drain()
        reader, writer = guest.open("git")
        writer.write(b"still here")
        writer.write_eof()
        assert b"still here" == await reader.read()
        assert sent < 600_000
        stuck.set()
        await asyncio.gather(host.close(), guest.close())

    run(dialogue())


def test_what_was_written_before_a_close_arrives(run: Run) -> None:
    """Closing ends a stream after its bytes; they are read although the reset has come."""

    async def dialogue() -> None:
        async def answers(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
            writer.write(b"y" * 200_000)
            writer.close()
            await writer.wait_closed()

        host, guest = pair(lambda name: answers)
        reader, _ = guest.open("git")
        assert 200_000 == len(await reader.read())
        await asyncio.gather(host.close(), guest.close())

    run(dialogue())


def test_the_end_of_the_channel_ends_every_stream_and_service(run: Run) -> None:
    """Nothing hangs when the other side is gone: readers, writers and services all end."""

    async def dialogue() -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def waits(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        host, guest = pair(lambda name: waits)
        reader, _ = guest.open("git")
        own_reader, own_writer = host.open("command")
        await began.wait()
        await guest.close()
        assert "lost" == await host.ended
        await cancelled.wait()
        for broken in (reader, own_reader):
            with pytest.raises(ConnectionResetError):
                await broken.read()
        with pytest.raises(ConnectionResetError):
            await own_writer.drain()
        await host.close()

    run(dialogue())


def frame(kind: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as it is on the wire."""
    return struct.pack("!BIH", kind, stream, len(payload)) + payload


@pytest.mark.parametrize(
    "said",
    [
        b"\xff" * 100,
        struct.pack("!BIH", FrameKind.DATA, 1, 0xFFFF) + b"x" * 0xFFFF,
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.DATA, 1, b"x" * 30000) * 9,
        b"".join(frame(FrameKind.OPEN, 2 * n + 1, b"none") for n in range(50_000)),
        b"".join(
            frame(FrameKind.OPEN, 2 * n + 1, b"git") + frame(FrameKind.RESET, 2 * n + 1)
            for n in range(20_000)
        )
        + b"\xff" * 20,
    ],
)
def test_a_side_that_breaks_the_rules_ends_the_channel_and_nothing_else(
    run: Run, said: bytes
) -> None:
    """Rubbish, oversized frames, data without credit, floods of streams: the channel ends and says
    that the rules were broken; what was served is cancelled; how many are served stays bounded.
    """

    async def dialogue() -> None:
        serving = most = 0

        async def never_ends(reader: asyncio.StreamReader, writer: StreamWriter) -> None:
            nonlocal serving, most
            serving += 1
            most = max(most, serving)
            try:
                await asyncio.Event().wait()
            finally:
                serving -= 1

        ours, theirs = socket.socketpair()
        host = ChannelConnection(ours.detach(), Side.HOST, {"git": never_ends}.get)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()

        async def say() -> None:
            with contextlib.suppress(OSError):  # the channel may have ended already
                await loop.sock_sendall(theirs, said)

        await say()
        assert "broke the channel's rules" in await host.ended
        await host.close()
        assert 0 == serving
        assert most <= Bounds().streams
        theirs.close()

    run(dialogue())


def test_descriptors_are_closed(run: Run) -> None:
    """A channel that has ended holds no descriptor."""

    async def dialogue() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        host, guest = pair()
        await asyncio.gather(host.close(), guest.close())
        assert before == len(list(Path("/proc/self/fd").iterdir()))

    run(dialogue())
