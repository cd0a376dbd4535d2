"""A client's connection, over transports that only note what they are told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from bailee.admission import Rounds
from bailee.clock import system_clock
from bailee.gateway.access import Caller, NothingKept, Passage
from bailee.gateway.client import ClientConnection
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, Upstream
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.upstream import UpstreamConnection
from bailee.testing.recording import MemoryRecording
from bailee.vault.exchange import Terms

TERMS = Terms("P30D", "test.clause", "0" * 64)
REQUEST = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nx-api-key: %b\r\nContent-Length: 2\r\n\r\n{}"


class Transport:
    """Notes what is written; closing is not yet noticed."""

    def __init__(self, over: tuple[socket.socket, socket.socket] | None = None) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.reading = True
        self.over = over
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        """Notes."""
        self.written.append(data)

    def abort(self) -> None:
        """Notes; `connection_lost` would come at a later turn of the loop."""
        self.aborted = True

    def can_write_eof(self) -> bool:
        """As over TLS: a side can't end alone."""
        return False

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self.aborted

    def pause_reading(self) -> None:
        """Notes."""
        self.reading = False

    def resume_reading(self) -> None:
        """Notes."""
        self.reading = True

    def get_write_buffer_size(self) -> int:
        """All is taken."""
        return 0

    def get_extra_info(self, name: str) -> socket.socket | None:
        """The socket, if there is one: nothing comes over it."""
        return self.over[0] if self.over and name == "socket" else None


class Keys:
    """`keep` keeps; any other key is under zero retention."""

    def authenticate(self, presented: bytes) -> Caller | None:
        """See `Access`."""
        zero = presented != b"keep"
        terms = NothingKept("test.zero") if zero else TERMS
        passage = Passage(True, "test.passes")
        return Caller("a", "k", "n", "p", zero, lambda channel: terms, lambda kind, own: passage)


def connected(
    key: bytes, sends: bytes = REQUEST * 2, rounds: Rounds | None = None
) -> tuple[Gateway, ClientConnection, Transport, Transport, list[ExchangeSummary]]:
    """A client that has sent so much at once; its transport, and the upstream's."""
    said: list[ExchangeSummary] = []
    config = GatewayConfig(api=Upstream("http://upstream"))
    gateway = Gateway(config, Keys(), MemoryRecording(manual=True), system_clock, said.append)
    gateway.now = 1.0
    gateway.rounds = rounds or Rounds(
        lambda _go: None, lambda *_: None, lambda: 0.0, seconds_most=9
    )
    below, above = Transport(), Transport(socket.socketpair())
    pool = gateway._pools["api"]
    upstream = UpstreamConnection(pool)
    upstream.connection_made(cast(Any, above))
    above.protocol = upstream
    pool._idle.append(upstream)
    client = ClientConnection(gateway)
    client.connection_made(cast(Any, below))
    client.data_received(sends.replace(b"%b", key))
    return gateway, client, below, above, said


def test_a_client_that_takes_nothing_is_not_served_its_next_request() -> None:
    """Once it is given up for stalling, what it had sent ahead goes nowhere."""
    gateway, client, below, above, said = connected(b"zero")
    client.pause_writing()
    client.tick(gateway.now + gateway.limits.client_stalled + 1)
    assert below.aborted
    assert (1, 1) == (len(above.written), len(said))
    assert gateway._pools["api"].take() is None


def test_a_record_may_be_durable_before_the_end_of_a_stalled_client_is_noticed() -> None:
    """The exchange is over, and its record is kept as one that the client aborted."""
    gateway, client, below, above, said = connected(b"keep")
    recording = cast(MemoryRecording, gateway._recording)
    client.pause_writing()
    client.tick(gateway.now + gateway.limits.client_stalled + 1)
    recording.settle()
    assert (["client_aborted"], ["client_aborted"]) == (
        [exchange.outcome for exchange in recording.exchanges],
        [summary.outcome for summary in said],
    )
    assert ([], 1) == (below.written, len(above.written))


@pytest.mark.parametrize("key", [b"keep", b"zero"])
def test_a_client_that_sends_no_more_while_its_answer_is_waited_for_has_gone(key: bytes) -> None:
    """It is reset, its upstream dropped, and what it had sent ahead goes nowhere."""
    gateway, client, below, above, said = connected(key)
    client.eof_received()
    cast(MemoryRecording, gateway._recording).settle()
    assert (True, True, []) == (below.aborted, above.aborted, below.written)
    assert (["client_aborted"], 1) == ([summary.outcome for summary in said], len(above.written))
    assert gateway._pools["api"].take() is None


@pytest.mark.row("G1")
def test_who_sends_much_is_read_from_again_at_a_later_turn_while_others_are_there() -> None:
    """What is more than an account has in a turn stays in its socket; all of it goes on."""
    turns: list[Callable[[], None]] = []
    rounds = Rounds(
        turns.append, lambda _seconds, _go: None, lambda: 0.0, bytes_most=300, seconds_most=9
    )
    rounds.begins("somebody else")
    rounds.begins("a")
    head = REQUEST.replace(b"Length: 2", b"Length: 500")[:-2]
    _, client, below, above, _ = connected(b"zero", head, rounds)
    assert below.reading
    client.data_received(b"x" * 300)
    assert not below.reading
    while turns:
        turns.pop()()
    assert below.reading
    client.data_received(b"x" * 200)
    assert 500 == b"".join(above.written).count(b"x" * 100) * 100


@pytest.mark.row("G1")
def test_a_large_answer_is_read_in_turns_while_others_are_there() -> None:
    """What is more than an account has in a turn stays in the socket; all of it comes."""

    async def run() -> None:
        turns: list[Callable[[], None]] = []
        rounds = Rounds(
            turns.append, lambda _seconds, _go: None, lambda: 0.0, bytes_most=5000, seconds_most=9
        )
        rounds.begins("somebody else")
        rounds.begins("a")
        _, _, below, above, said = connected(b"zero", REQUEST, rounds)
        turns.pop()()
        above.protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n")
        assert above.reading
        above.protocol.data_received(b"x" * 5000)
        assert not above.reading
        turns.pop()()
        assert above.reading
        above.protocol.data_received(b"x" * 1000)
        assert (6000, 1) == (b"".join(below.written).count(b"x"), len(said))

    asyncio.run(run())


@pytest.mark.row("G1")
def test_a_connection_of_who_rests_is_read_from_for_the_next_at_once() -> None:
    """What one account's answer had read too much of is no other account's rest."""

    async def run() -> None:
        turns: list[Callable[[], None]] = []
        rounds = Rounds(
            turns.append, lambda _seconds, _go: None, lambda: 0.0, bytes_most=9, seconds_most=9
        )
        rounds.begins("somebody else")
        gateway, _, _, above, _ = connected(b"zero", REQUEST, rounds)
        above.protocol.pause("round")
        gateway._pools["api"].give_back(above.protocol)
        assert above.reading

    asyncio.run(run())


def test_an_empty_line_before_a_request_may_come_by_the_byte() -> None:
    """Its first half alone is no other protocol; what comes instead of its second is."""
    _, client, _, above, _ = connected(b"zero", b"\r")
    for byte in b"\n" + REQUEST.replace(b"%b", b"zero"):
        client.data_received(bytes([byte]))
    assert b"".join(above.written).endswith(b"\r\n\r\n{}")

    for refused in (b"\r\r", b"\rG"):
        below = connected(b"zero", refused)[2]
        assert below.written[0].startswith(b"HTTP/1.1 400 ")
