"""Streams as a model sends them: many at once, an event every 50 ms, each a write of its own.

One process plays both sides: the clients, and the upstream that paces the events. It is asked for
seconds by lines of its input, and answers each with how many events its clients got, and by how
much they were late, by one clock. What is between the two is measured by whoever starts it.

    python -m bench.paced UPSTREAM_PORT KEY

Reads lines of a gateway's port and seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

ROOT: Final = Path(__file__).parent.parent
STREAMS: Final = 200
EVERY: Final = 0.05
EVENTS: Final = 100  # of one answer
_AT: Final = b'"at":"'
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _event(name: str, rest: str) -> bytes:
    event = f'event: {name}\ndata: {{"type":"{name}",{rest}}}\n\n'.encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


_FIRST: Final = _event(
    "message_start",
    '"message":{"id":"msg_bench","type":"message","role":"assistant","model":"claude-bench",'
    '"content":[],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1}}',
)
_LAST: Final = (
    _event("content_block_stop", '"index":0')
    + _event("message_delta", '"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":100}')
    + _event("message_stop", '"end":true')
    + b"0\r\n\r\n"
)


def _delta() -> bytes:
    """An event that says when it was sent, in nanoseconds."""
    text = f'"index":0,"delta":{{"type":"text_delta","text":" word","at":"{time.monotonic_ns()}"}}'
    return _event("content_block_delta", text)


class _Upstream(asyncio.Protocol):
    """A connection of the upstream's: answers whatever came with a paced stream."""

    every = EVERY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.loop = asyncio.get_running_loop()
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if self.left or not data.endswith(b"}"):  # the request's head, where it comes alone
            return
        self.left = EVENTS
        self.transport.write(_HEAD + _FIRST)
        self.loop.call_later(self.every, self._next)

    def _next(self) -> None:
        if self.transport.is_closing():
            return
        self.left -= 1
        self.transport.write(_delta() if self.left else _LAST)
        if self.left:
            self.loop.call_later(self.every, self._next)


class _Client(asyncio.Protocol):
    """A client's connection: asks, takes the stream, asks again."""

    def __init__(self, load: _Load, request: bytes) -> None:
        self.load = load
        self.request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        load = self.load
        if load.open:
            load.events += data.count(b"event: ")
            at = data.rfind(_AT)
            if at >= 0:
                sent = int(data[at + len(_AT) : data.index(b'"', at + len(_AT))])
                load.late.append(time.monotonic_ns() - sent)
        if data.endswith(b"0\r\n\r\n"):
            self.transport.write(self.request)


class _Load:
    """What the clients got while it was `open`."""

    def __init__(self) -> None:
        self.open = False
        self.events = 0
        self.late: list[int] = []

    async def run(self, port: int, seconds: float, key: str) -> str:
        """Events, and the median and the 99th of a hundred of how late they were, in µs."""
        loop = asyncio.get_running_loop()
        body = (
            b'{"model":"claude-bench","max_tokens":64,"stream":true,'
            b'"messages":[{"role":"user","content":"Go on."}]}'
        )
        request = (
            b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: bench\r\n"
            b"content-type: application/json\r\nx-api-key: %b\r\nanthropic-version: 2023-06-01\r\n"
            b"content-length: %d\r\n\r\n%b" % (key.encode(), len(body), body)
        )
        made = []
        for number in range(STREAMS):  # spread over the time between two events
            made.append(
                (await loop.create_connection(lambda: _Client(self, request), "127.0.0.1", port))[0]
            )
            if number % 10 == 9:
                await asyncio.sleep(EVERY * 10 / STREAMS)
        await asyncio.sleep(1.0)
        print("begun", flush=True)
        self.open = True
        await asyncio.sleep(seconds)
        self.open = False
        print("ended", flush=True)
        for transport in made:
            transport.abort()
        late = sorted(self.late) or [0]
        half, most = late[len(late) // 2], late[len(late) * 99 // 100]
        return f"{self.events} {half / 1000:.0f} {most / 1000:.0f}"


async def _play(port: int, key: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(_Upstream, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        to, seconds = line.split()
        print(await _Load().run(int(to), float(seconds), key), flush=True)


@dataclass(frozen=True, slots=True)
class PacedRun:
    """Events that came in so many seconds; how late, in µs; seconds of the processor that it took
    who is measured.
    """

    events: int
    seconds: float
    p50: float
    p99: float
    processor: float


class Pacing:
    """The process that plays both sides. The benchmark owns it, and asks it one thing at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said, "what paces the streams has ended"
        return said

    def run(self, port: int, seconds: float, used: Callable[[], float]) -> PacedRun:
        """Has the streams go through who listens at `port`, of which `used` gives the processor's
        time.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port} {seconds}\n")
        self._process.stdin.flush()
        assert self._said() == "begun"
        before = used()
        assert self._said() == "ended"
        processor = used() - before
        events, p50, p99 = self._said().split()
        return PacedRun(int(events), seconds, float(p50), float(p99), processor)


@contextlib.contextmanager
def pacing(port: int, key: str, core: int) -> Iterator[Pacing]:
    """Both sides of paced streams; the upstream listens at `port`."""
    with subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-m", "bench.paced", str(port), key],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        yield Pacing(process)
        process.stdin.close()


if __name__ == "__main__":
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_play(int(sys.argv[1]), sys.argv[2]))
