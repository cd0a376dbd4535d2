"""Both sides of `load`: clients that hold so many streams, and the upstream that paces them.

    python -m bench.load_clients UPSTREAM_PORT GATEWAY_PORT KEY...

Reads lines of JSON: how many clients, for how many seconds, and whether answers are `paced` or
come in one piece. Says `begun` when all have asked, and then what they saw, as one line of JSON.
A client asks in a new session each time, and asks again as soon as it is answered; who is refused,
or whose connection is cut, a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from typing import Final, TypedDict, cast
from uuid import uuid4

from bench.gateway_ends import Stub
from bench.paced import _AT, _Upstream

EVERY: Final = 0.04  # 25 events a second
_AGAIN: Final = 1.0


class Saw(TypedDict):
    """What the clients saw while it was measured. `answers`: how many of each status, `cut`
    connections; `events`; of these the median and the 99th of a hundred of how `late` they were,
    and of how long the `first` one took, in ms.
    """

    answers: dict[str, int]
    events: int
    late: list[float]
    first: list[float]


class _Model(_Upstream):
    """The upstream: a stream, or a small answer to who asks for none."""

    every = EVERY

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"false}"):
            self.transport.write(Stub.small)
        else:
            super().data_received(data)


class _Seen:
    """What is counted while it is `open`; of all clients."""

    def __init__(self) -> None:
        self.open = False
        self.ended = False
        self.answers: Counter[str] = Counter()
        self.events = 0
        self.late: list[float] = []
        self.first: list[float] = []

    def say(self) -> Saw:
        return {
            "answers": dict(self.answers),
            "events": self.events,
            "late": _middle(self.late),
            "first": _middle(self.first),
        }


def _middle(some: list[float]) -> list[float]:
    found = sorted(some) or [0.0]
    return [round(found[len(found) * part // 100], 3) for part in (50, 99)]


class _Asking(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, seen: _Seen, key: str, paced: bool, again: asyncio.Event) -> None:
        self._seen, self._key, self._paced, self._again = seen, key, paced, again
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._seen.open:
            self._seen.answers["cut"] += 1
        self._again.set()

    def data_received(self, data: bytes) -> None:
        seen = self._seen
        if self._head is None:
            self._waiting += data
            head, end, data = self._waiting.partition(b"\r\n\r\n")
            if not end:
                return
            self._begun(head)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._answered()
            return
        if seen.open:
            seen.events += data.count(b"event: ")
            at = data.rfind(_AT)
            if at >= 0:
                sent = int(data[at + len(_AT) : data.index(b'"', at + len(_AT))])
                seen.late.append((time.monotonic_ns() - sent) / 1e6)
        if data.endswith(b"0\r\n\r\n"):
            self._answered()

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        self._head: str | None = None
        self._left: int | None = None
        self._waiting = b""
        self._asked = time.monotonic()
        stream = "true" if self._paced else "false"
        body = (
            '{"model":"claude-bench","max_tokens":64,"messages":[{"role":"user","content":'
            f'"Go on."}}],"stream":{stream}}}'
        )
        self._transport.write(
            (
                "POST /v1/messages HTTP/1.1\r\nHost: bench\r\ncontent-type: application/json\r\n"
                f"x-api-key: {self._key}\r\nanthropic-version: 2023-06-01\r\n"
                f"x-claude-code-session-id: {uuid4()}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def _begun(self, head: bytes) -> None:
        self._head = head[9:12].decode()
        for field in head.lower().split(b"\r\n")[1:]:
            name, _, value = field.partition(b":")
            if name == b"content-length":
                self._left = int(value)
        if self._seen.open and self._head == "200":
            self._seen.first.append((time.monotonic() - self._asked) * 1e3)

    def _answered(self) -> None:
        assert self._head is not None
        if self._seen.open:
            self._seen.answers[self._head] += 1
        if self._head == "200":
            self._ask()
        else:
            self._loop.call_later(_AGAIN, self._ask)


async def _client(seen: _Seen, port: int, key: str, paced: bool) -> None:
    loop = asyncio.get_running_loop()
    while not seen.ended:
        again = asyncio.Event()
        asking = _Asking(seen, key, paced, again)
        try:
            transport, _ = await loop.create_connection(lambda: asking, "127.0.0.1", port)  # noqa: B023
        except OSError:
            if seen.open:
                seen.answers["cut"] += 1
        else:
            try:
                await again.wait()
            finally:
                transport.abort()
        await asyncio.sleep(_AGAIN)


async def _run(port: int, keys: list[str], clients: int, seconds: float, paced: bool) -> Saw:
    seen, asking = _Seen(), []
    for number in range(clients):  # spread, so that not all are answered at the same moment
        one = _client(seen, port, keys[number % len(keys)], paced)
        asking.append(asyncio.create_task(one))
        if number % 20 == 19:
            await asyncio.sleep(0.02)
    await asyncio.sleep(2.0)
    print("begun", flush=True)
    seen.open = True
    await asyncio.sleep(seconds)
    seen.open, seen.ended = False, True
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return seen.say()


async def _play(upstream: int, port: int, keys: list[str]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(_Model, "127.0.0.1", upstream, backlog=4096)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        clients, seconds, paced = json.loads(line)
        print(json.dumps(await _run(port, keys, clients, seconds, paced)), flush=True)


if __name__ == "__main__":
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_play(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
