"""What of an answer may go on before its record is durable."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailee.gateway.completion import (
    AnswerHold,
    HoldFrames,
    HoldLast,
    HoldStop,
    frame_kind,
    hold_for,
    is_last_event,
)
from bailee.testing.upstream import AssistantMessage, Received, frame, sse

ASKED = Received("POST", "/v1/messages", b"", b"", b"{}", (), 0)
TRICKY = AssistantMessage(
    (
        {"type": "text", "text": "message_stop"},
        {"type": "text", "text": '"message_stop" and\n\nevent: message_stop\n\n'},
        {"type": "tool_use", "id": "t", "name": "message_stop", "input": {"message_stop": 1}},
    )
)
EVENTS = TRICKY.events(ASKED)
WORDS = [{"type": "content_block_delta", "delta": {"text": word}} for word in ("message_stop", "x")]
# A delta that is nothing but the word, which a model may well say.
EVENTS[2:2] = WORDS
CUTS = st.lists(st.integers(1, 6000), max_size=30)


def feed(hold: AnswerHold, wire: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """(what went on, what was held), fed in pieces."""
    free, at = b"", 0
    for cut in [*sorted(cuts), len(wire)]:
        end = min(max(at, cut), len(wire))
        if end > at:
            free += hold.feed(wire[at:end])
        at = end
    assert hold.holding == (len(free) < len(wire))
    return free, hold.rest()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("named", [True, False])
@given(cuts=CUTS)
@example(cuts=[2250])  # between the two halves of the CRLF before the last event
def test_any_split_of_a_stream_gives_the_same_detection(
    named: bool, line_end: bytes, cuts: list[int]
) -> None:
    """The end of message_stop is held, all before it is free, and nothing is lost."""
    encoded = [sse(event) for event in EVENTS]
    if not named:
        encoded = [event.partition(b"\n")[2] for event in encoded]
    encoded = [event.replace(b"\n", line_end) for event in encoded]
    wire, stop = b"".join(encoded), encoded[-1]
    hold = HoldStop()
    free, held = feed(hold, wire, cuts)
    assert hold.final
    assert wire == free + held
    assert free.startswith(b"".join(encoded[:-1]))
    # What of the event went on before it was recognised does not complete it.
    assert held
    assert not is_last_event(free[len(wire) - len(stop) :]) or not free.endswith(line_end * 2)


@given(cuts=CUTS)
def test_a_stream_without_its_end_is_not_held(cuts: list[int]) -> None:
    """Everything before the last event goes on, whatever words it holds."""
    wire = b"".join(sse(event) for event in EVENTS[:-1])
    hold = HoldStop()
    assert (wire, b"") == feed(hold, wire, cuts)
    assert not hold.final


@given(st.binary(max_size=400), CUTS)
def test_no_bytes_are_lost_or_changed(data: bytes, cuts: list[int]) -> None:
    """Whatever comes, free and held together are what came."""
    for noise in (data, b"event: message_stop" + data, b"\n\n" + data + b"message_stop" + data):
        for hold in (HoldStop(), HoldFrames(), HoldLast()):
            assert noise == b"".join(feed(hold, noise, [cut % 500 + 1 for cut in cuts]))


def test_an_event_too_large_to_be_the_last_is_not_held() -> None:
    """A word in a very long event does not hold the stream up without bound."""
    hold = HoldStop()
    free = hold.feed(b"data: message_stop ")
    assert b"" == free
    for _ in range(100):
        free += hold.feed(b"x" * 1000)
    assert 100_019 == len(free)
    stop = sse({"type": "message_stop"})
    assert b"\n\n" == hold.feed(b"\n\n" + stop)
    assert (True, stop) == (hold.final, hold.rest())


@pytest.mark.parametrize(
    ("event", "last"),
    [
        (b"event: message_stop\ndata: {}\n\n", True),
        (b"event:message_stop\n\n", True),
        (b'data: {"type":"message_stop"}\n\n', True),
        (b'data: {"type":\ndata: "message_stop"}\n\n', True),
        (b"event: message_stopped\ndata: {}\n\n", False),
        (b'data: {"text":"message_stop"}\n\n', False),
        (b": message_stop\n\n", False),
        (b"data: message_stop\n\n", False),
        (b'data: ["message_stop"]\n\n', False),
    ],
)
def test_which_event_is_the_last(event: bytes, last: bool) -> None:
    """By its name or by its type, and by nothing else."""
    assert last == is_last_event(event)


@given(cuts=CUTS)
def test_any_split_of_a_binary_stream_gives_the_same_detection(cuts: list[int]) -> None:
    """The last frame is held whole."""
    frames = [frame(event) for event in EVENTS]
    hold = HoldFrames()
    assert (b"".join(frames[:-1]), frames[-1]) == feed(hold, b"".join(frames), cuts)
    assert hold.final


def test_converse_streams_end_with_their_usage() -> None:
    """MessageStop is held, and the record waits for the metadata after it."""
    assert "start" == frame_kind(_named("start"))
    hold = HoldFrames()
    start, stop, metadata = _named("messageStart"), _named("messageStop"), _named("metadata")
    assert start == hold.feed(start + stop)
    assert (True, False) == (hold.holding, hold.final)
    assert b"" == hold.feed(metadata)
    assert (True, stop + metadata) == (hold.final, hold.rest())


def test_what_follows_the_stop_is_looked_at_once() -> None:
    """However a read is cut, and whatever comes before the usage, all of it is held."""
    hold = HoldFrames()
    wire = _named("messageStop") + _named("quince") * 20 + _named("metadata")
    assert b"" == b"".join(hold.feed(bytes([byte])) for byte in wire)
    assert (True, wire) == (hold.final, hold.rest())


def _named(kind: str) -> bytes:
    """A frame of a Converse event (checksums are not looked at)."""
    name, value = b":event-type", kind.encode()
    headers = bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2, "big") + value
    total = 16 + len(headers) + 2
    return (
        total.to_bytes(4, "big")
        + len(headers).to_bytes(4, "big")
        + b"\0" * 4
        + headers
        + b"{}"
        + b"\0" * 4
    )


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
def test_a_document_lags_by_one_read(reads: list[bytes]) -> None:
    """The last bytes read are always held."""
    hold = HoldLast()
    free = b"".join(hold.feed(read) for read in reads)
    assert b"".join(reads[:-1]) == free
    assert b"".join(reads[-1:]) == hold.rest()


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
@given(cuts=CUTS)
def test_encoded_streams_are_looked_into(coding: bytes, cuts: list[int]) -> None:
    """The read in which the end decodes is held; the bytes are those that came."""
    plain = b"".join(sse(event) for event in EVENTS)
    wire = gzip.compress(plain) if coding == b"gzip" else zlib.compress(plain)
    hold = hold_for(b"text/event-stream", coding)
    free, held = feed(hold, wire, cuts)
    assert wire == free + held
    assert hold.final
    decoder = zlib.decompressobj(31 if coding == b"gzip" else 15)
    assert b'event: message_stop\ndata: {"type": "message_stop"}\n\n' not in decoder.decompress(
        free
    )


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"rot13"])
@given(data=st.binary(max_size=100))
def test_what_is_not_in_its_coding_is_held_like_a_document(coding: bytes, data: bytes) -> None:
    """A false or unknown coding loses nothing and raises nothing."""
    hold = hold_for(b"text/event-stream", coding)
    free = hold.feed(data) + hold.feed(b"more")
    assert data + b"more" == free + hold.rest()


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"text/event-stream; charset=utf-8", HoldStop),
        (b"application/vnd.amazon.eventstream", HoldFrames),
        (b"application/json", HoldLast),
        (b"", HoldLast),
    ],
)
def test_how_an_answer_is_held(content_type: bytes, kind: type) -> None:
    """By its content type."""
    assert kind is type(hold_for(content_type, b""))
