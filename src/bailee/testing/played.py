"""A gateway with one connection of a client's and one to its upstream, both played: no socket, no
loop, no clock. What each side is sent is what there is to see.

It imports the gateway as any module does, so that who imports it twice, from two builds, has two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Final

from bailee.gateway.access import Caller, Passage
from bailee.gateway.client import ClientConnection
from bailee.gateway.recording import Recording
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, GatewayLimits, Upstream
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.upstream import UpstreamConnection
from bailee.testing.recording import MemoryRecording
from bailee.vault.exchange import Terms

KEY = "bl_played"


@dataclass
class Seen:
    """What came of it: the bytes to either side, how each connection stands, and the two records.
    Of a build's own classes nothing is in it, so that two builds' can be compared.
    """

    down: bytes = b""
    up: bytes = b""
    events: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    records: list[tuple[bytes, bytes, str]] = field(default_factory=list)
    held: int = 0


class PlayedLoop(asyncio.AbstractEventLoop):
    """Keeps what it is to call until somebody has the next turn begin."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], object]] = []

    def call_soon(self, callback: Callable[[], object]) -> None:  # type: ignore[override]
        """See `asyncio.AbstractEventLoop`."""
        self._soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:  # type: ignore[override]
        """See `asyncio.AbstractEventLoop`."""
        del delay, callback

    def turn(self) -> None:
        """Calls what is to be called, and what that asks for."""
        for _ in range(100):
            if not self._soon:
                return
            soon, self._soon = self._soon, []
            for call in soon:
                call()


class PlayedTransport(asyncio.Transport):
    """Takes what is written, and says what else it is told to do."""

    def __init__(self, name: str, events: list[str]) -> None:
        super().__init__()
        self.written = bytearray()
        self._name = name
        self._events = events
        self._closing = False

    def _tell(self, what: str, *, closes: bool = False) -> None:
        self._events.append(f"{self._name} {what}")
        self._closing = self._closing or closes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.Transport`."""
        self.written += data

    def is_closing(self) -> bool:
        """See `asyncio.Transport`."""
        return self._closing

    def get_extra_info(self, name: str, default: object = None) -> object:
        """See `asyncio.Transport`."""
        del name
        return default

    def get_write_buffer_size(self) -> int:
        """See `asyncio.Transport`."""
        return 0

    def can_write_eof(self) -> bool:
        """See `asyncio.Transport`."""
        return True

    def write_eof(self) -> None:
        """See `asyncio.Transport`."""
        self._tell("ends")

    def pause_reading(self) -> None:
        """See `asyncio.Transport`."""
        self._tell("rests")

    def resume_reading(self) -> None:
        """See `asyncio.Transport`."""
        self._tell("reads on")

    def close(self) -> None:
        """See `asyncio.Transport`."""
        self._tell("closes", closes=True)

    def abort(self) -> None:
        """See `asyncio.Transport`."""
        self._tell("aborts", closes=True)


class PlayedGateway:
    """A real gateway, a client's connection to it, and one of its own to an upstream. Who plays
    both sides makes it and calls it, on one thread; it waits for nothing.
    """

    def __init__(
        self, recording: Recording, said: Callable[[ExchangeSummary], None], *, kept: bool
    ) -> None:
        terms, passage = Terms("P30D", "played", "0" * 64), Passage(True, "played")
        caller = Caller(
            "owner", "key", "played", "api", not kept, lambda _: terms, lambda *_: passage
        )

        class Everyone:
            def authenticate(self, presented: bytes) -> Caller | None:
                return caller if presented == KEY.encode() else None

        self.gateway = Gateway(
            GatewayConfig(api=Upstream("http://127.0.0.1:1"), limits=_LIMITS),
            Everyone(),
            recording,
            lambda: _NOW,
            said,
        )
        self.gateway._id_prefix = "0" * 16
        # By the machine's clocks an account's turn would end where a build happened to be slow.
        self.gateway.rounds._now = lambda: 0.0
        self.gateway.rounds._seconds_most = inf
        self.events: list[str] = []
        self.loop = self.gateway._loop = PlayedLoop()  # type: ignore[abstract]
        self.up = PlayedTransport("upstream", self.events)
        self.down = PlayedTransport("client", self.events)
        pool = self.gateway._pools["api"]
        self.upstream, self.client = UpstreamConnection(pool), ClientConnection(self.gateway)
        self.upstream.connection_made(self.up)
        self.client.connection_made(self.down)
        pool.give_back(self.upstream)


_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LIMITS: Final = GatewayLimits(max_answer=1 << 18, max_head=4096, ping=0)


def play(
    asked: Sequence[bytes],
    answered: Sequence[bytes],
    *,
    kept: bool = True,
    late: bool = False,
    client_goes: bool = False,
    upstream_goes: bool = False,
) -> Seen:
    """Has a client send the pieces `asked`, and then its upstream those `answered`. `late`: what is
    recorded is durable only when all has come. At last either side may go.
    """
    seen, recording = Seen(), MemoryRecording(manual=True)

    def said(summary: ExchangeSummary) -> None:
        seen.summaries.append(repr(replace(summary, seconds=0.0, first_byte=0.0)))

    played = PlayedGateway(recording, said, kept=kept)
    client, upstream = played.client, played.upstream
    sides = ((client, played.down, asked), (upstream, played.up, answered))
    for side, transport, pieces in sides:
        for piece in pieces:
            if not transport.is_closing():
                side.data_received(piece)
            if not late:
                recording.settle()
            played.loop.turn()
            client.tick(played.gateway.now)
    if upstream_goes and not played.up.is_closing():
        upstream.connection_lost(None)
    if client_goes and not played.down.is_closing():
        client.connection_lost(None)
    recording.settle()
    played.loop.turn()
    seen.down, seen.up = bytes(played.down.written), bytes(played.up.written)
    seen.held, seen.events = played.gateway.shares.held, played.events
    seen.records = [(one.request, one.answer, one.outcome.value) for one in recording.exchanges]
    return seen
