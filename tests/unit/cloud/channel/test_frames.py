"""The channel's protocol, as a dialogue of two sides and against a side that keeps to nothing."""

from __future__ import annotations

import struct
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.channel.frames import (
    MOST_PAYLOAD,
    Bounds,
    Data,
    Event,
    FrameKind,
    Multiplexer,
    ProtocolError,
    Reset,
    Side,
    StreamEnded,
    StreamOpened,
)

SMALL = Bounds(streams=4, window=64, answers=32)


def frame(kind: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as it is on the wire."""
    return struct.pack("!BIH", kind, stream, len(payload)) + payload


def passed(source: Multiplexer, target: Multiplexer) -> list[Event]:
    """Pass on all that one side has to say."""
    events = []
    while source.has_output:
        events += target.receive(source.output())
    return events


def test_a_stream_carries_bytes_both_ways_and_ends() -> None:
    """What one side sends the other gets, and a stream that both have ended is forgotten."""
    host, guest = Multiplexer(Side.HOST), Multiplexer(Side.GUEST)
    stream = guest.open("git")
    assert stream is not None
    guest.send(stream, b"question")
    guest.end(stream)
    assert [StreamOpened(stream, "git"), Data(stream, b"question"), StreamEnded(stream)] == passed(
        guest, host
    )
    host.send(stream, b"answer")
    host.end(stream)

    assert [Data(stream, b"answer"), StreamEnded(stream)] == passed(host, guest)
    assert (0, 0) == (host.streams, guest.streams)


def test_no_more_is_sent_than_there_is_credit_for() -> None:
    """A stream that is not read from stops at its window, and goes on when it is."""
    host, guest = Multiplexer(Side.HOST, SMALL), Multiplexer(Side.GUEST, SMALL)
    stream = host.open("command")
    assert stream is not None
    host.send(stream, b"x" * 100)

    first = passed(host, guest)
    guest.consumed(stream, 64)
    passed(guest, host)
    second = passed(host, guest)

    assert [StreamOpened(stream, "command"), Data(stream, b"x" * 64)] == first
    assert [Data(stream, b"x" * 36)] == second


def test_streams_take_turns() -> None:
    """A stream with much to send holds up none with little."""
    host = Multiplexer(Side.HOST, Bounds(window=1 << 20))
    streams = [host.open("command") for _ in range(3)]
    assert None not in streams
    host.send(streams[0] or 0, b"a" * 500_000)
    for stream in streams[1:]:
        host.send(stream or 0, b"b")
    output = host.output(3 * MOST_PAYLOAD)

    assert all(frame(FrameKind.DATA, stream or 0, b"b") in output for stream in streams[1:])


def test_closing_lets_what_is_queued_go_out_first() -> None:
    """A stream that is closed delivers what was written, then ends on both sides."""
    host, guest = Multiplexer(Side.HOST), Multiplexer(Side.GUEST)
    stream = host.open("command")
    assert stream is not None
    host.send(stream, b"last words")
    host.close(stream)

    said = [
        StreamOpened(stream, "command"),
        Data(stream, b"last words"),
        StreamEnded(stream),
        Reset(stream),
    ]
    assert said == passed(host, guest)
    assert (0, 0) == (host.streams, guest.streams)


def test_one_stream_too_many_is_reset_and_no_other() -> None:
    """The number of streams is bounded; the one past it is refused, the rest go on."""
    host = Multiplexer(Side.HOST, SMALL)
    events = list(
        host.receive(b"".join(frame(FrameKind.OPEN, 1 + 2 * n, b"git") for n in range(5)))
    )

    assert [StreamOpened(n, "git") for n in (1, 3, 5, 7)] == events
    assert frame(FrameKind.RESET, 9) == host.output()


def test_a_side_can_not_use_up_the_other_s_streams() -> None:
    """With all its own streams open the guest keeps the host from opening none."""
    host = Multiplexer(Side.HOST, SMALL)
    list(host.receive(b"".join(frame(FrameKind.OPEN, 1 + 2 * n, b"git") for n in range(4))))

    assert [2, 4, 6, 8, None] == [host.open("command") for _ in range(5)]


@pytest.mark.parametrize(
    "said",
    [
        frame(9, 1),
        frame(FrameKind.OPEN, 2, b"git"),
        frame(FrameKind.OPEN, 1, b""),
        frame(FrameKind.OPEN, 1, b"x" * 65),
        frame(FrameKind.OPEN, 1, b"\xff"),
        frame(FrameKind.OPEN, 1, b"git") * 2,
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.DATA, 1, b"x" * 65),
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.EOF, 1) + frame(FrameKind.DATA, 1, b"x"),
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.EOF, 1) + frame(FrameKind.EOF, 1),
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.EOF, 1, b"x"),
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.CREDIT, 1, b"xx"),
        frame(FrameKind.OPEN, 1, b"git") + frame(FrameKind.CREDIT, 1, b"\xff\xff\xff\xff"),
        struct.pack("!BIH", FrameKind.DATA, 1, MOST_PAYLOAD + 1),
        b"".join(frame(FrameKind.OPEN, 1 + 2 * n, b"git") for n in range(100)),
    ],
)
def test_what_breaks_the_rules_is_a_violation(said: bytes) -> None:
    """Each rule of the protocol, broken, ends the channel."""
    host = Multiplexer(Side.HOST, SMALL)

    with pytest.raises(ProtocolError):
        list(host.receive(said))


def test_frames_of_a_stream_that_is_over_are_passed_over() -> None:
    """What was on its way when a stream ended does no harm."""
    host = Multiplexer(Side.HOST)
    late = (
        frame(FrameKind.DATA, 7, b"x")
        + frame(FrameKind.CREDIT, 7, b"\0\0\0\1")
        + frame(FrameKind.RESET, 7)
    )

    assert [] == list(host.receive(late))


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_any_bytes_are_events_or_a_violation(pieces: list[bytes]) -> None:
    """Whatever comes, nothing is raised but a violation, and what is held stays bounded."""
    host = Multiplexer(Side.HOST, SMALL)
    unread: dict[int, int] = defaultdict(int)
    try:
        for piece in pieces:
            for event in host.receive(piece):
                if isinstance(event, Data):
                    unread[event.stream] += len(event.data)
    except ProtocolError:
        pass

    assert all(count <= SMALL.window for count in unread.values())
    assert host.streams <= SMALL.streams  # all of them the guest's
    assert len(host._input) <= MOST_PAYLOAD + 400 + 7


KINDS = st.sampled_from(list(FrameKind))
FRAMES = st.builds(frame, KINDS, st.integers(0, 12), st.binary(max_size=80))


@given(st.lists(FRAMES, max_size=60))
def test_any_frames_are_events_or_a_violation(frames: list[bytes]) -> None:
    """The same for what looks like frames: no stream takes more than its window unread."""
    host = Multiplexer(Side.HOST, SMALL)
    unread: dict[int, int] = defaultdict(int)
    try:
        for event in host.receive(b"".join(frames)):
            if isinstance(event, StreamOpened):
                unread[event.stream] = 0
            elif isinstance(event, Data):
                unread[event.stream] += len(event.data)
            assert all(count <= SMALL.window for count in unread.values())
    except ProtocolError:
        pass

    assert host.streams <= SMALL.streams


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "send", "end", "close", "pass", "consume"]),
        st.booleans(),
        st.integers(0, 3),
        st.binary(max_size=150),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 50))
def test_two_sides_that_keep_the_rules_lose_nothing(
    steps: list[tuple[str, bool, int, bytes]], cut: int
) -> None:
    """Whatever they do in whatever order, and however it is cut up, each stream's bytes arrive in
    order and whole, and no rule is broken.
    """
    sides = Multiplexer(Side.HOST, SMALL), Multiplexer(Side.GUEST, SMALL)
    opened: list[int] = []
    sent: dict[tuple[int, int], bytes] = defaultdict(bytes)  # by receiver and stream
    got: dict[tuple[int, int], bytes] = defaultdict(bytes)
    unread: dict[tuple[int, int], int] = defaultdict(int)
    ended: set[tuple[int, int]] = set()

    def deliver(source: int) -> None:
        target = 1 - source
        while sides[source].has_output:
            data = sides[source].output()
            for place in range(0, len(data), cut):
                for event in sides[target].receive(data[place : place + cut]):
                    if isinstance(event, Data):
                        got[target, event.stream] += event.data
                        unread[target, event.stream] += len(event.data)
                        assert unread[target, event.stream] <= SMALL.window
                    elif isinstance(event, Reset):
                        ended.add((source, event.stream))

    for what, second, which, data in steps:
        side = int(second)
        if what == "open":
            if (stream := sides[side].open("git")) is not None:
                opened.append(stream)
                deliver(side)
        elif what == "pass":
            deliver(side)
        elif opened:
            stream = opened[which % len(opened)]
            if what == "send" and (side, stream) not in ended and sides[side].knows(stream):
                sides[side].send(stream, data)
                sent[1 - side, stream] += data
            elif what == "end":
                sides[side].end(stream)
                ended.add((side, stream))
            elif what == "close":
                sides[side].close(stream)
                ended.update({(side, stream), (1 - side, stream)})
            elif what == "consume":
                sides[side].consumed(stream, unread.pop((side, stream), 0))

    for _ in range(200):
        for side in (0, 1):
            deliver(side)
            for receiver, stream in list(unread):
                if receiver == side:
                    sides[side].consumed(stream, unread.pop((receiver, stream)))

    for key, data in got.items():
        assert sent[key].startswith(data)
    for (receiver, stream), data in sent.items():
        if not {(0, stream), (1, stream)} & ended:
            assert data == got[receiver, stream]
