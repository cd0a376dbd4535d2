"""Content that asks for much work in few bytes: it is kept, or said not to be, for little."""

from __future__ import annotations

import gzip
import json

import pytest

from bailee.testing.upstream import Exactly, Failure, Part, Reply
from support.attacks.attacked import House, processor
from support.attacks.bombs import MANY_MESSAGES, PACKERS, many_keys, unfolding

pytestmark = pytest.mark.row("G1", "G2")

WELL = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"pear"}]}'


def _stream(*parts: Part, **headers: str) -> Exactly:
    named = (("content-type", "text/event-stream"), *headers.items())
    return Exactly(Reply(200, tuple((n.replace("_", "-"), v) for n, v in named), parts, "chunked"))


def test_a_million_messages_of_nothing(house: House) -> None:
    """A million numbers as messages, which the model refuses, cost little."""
    house.upstream.then(Failure(502, "api_error", "no"))
    with house.within():
        house.post(MANY_MESSAGES)


def test_a_million_messages_in_two_kilobytes(house: House) -> None:
    """Packed, they cost no more."""
    house.upstream.then(Failure(502, "api_error", "no"))
    with house.within():
        house.post(gzip.compress(MANY_MESSAGES), content_encoding="gzip")


def test_a_million_messages_that_are_answered(house: House) -> None:
    """The same when the model answers: the session that they make is no burden either."""
    with house.within():
        house.post(MANY_MESSAGES)


def test_what_is_rebuilt_follows_the_size(house: House) -> None:
    """A conversation of twice as many messages takes about twice as long to show."""
    spent = []
    for number in (4_000, 8_000):
        session = f"{number:08d}-0000-4000-8000-000000000000"
        for start in (0, 1):
            said = [{"role": "user", "content": f"plum {n}"} for n in range(start, number)]
            # The second begins with the first's second message: nothing is a beginning it knows.
            body = json.dumps({"model": "m", "max_tokens": 9, "messages": said}).encode()
            assert 200 == house.post(body, x_claude_code_session_id=session)[0]
        house.filed(session, 2)
        before = processor(house.pid)
        shown = house.ask("sessions.show", id=session)
        spent.append(processor(house.pid) - before)
        assert 2 == len(shown["exchange_list"])
    assert spent[1] < 3 * spent[0] + 0.2, spent


def test_lists_do_not_wait_for_what_is_sealed(house: House) -> None:
    """While content that asks for much is being sealed, another's list costs what it ever did."""
    with house.within():
        for _ in range(3):
            house.post(MANY_MESSAGES)
        began = processor(house.pid)
        house.ask("sessions.list")
        assert processor(house.pid) - began < 1.5


def test_a_million_keys(house: House) -> None:
    """A body with a million keys, 14 MB of it, costs little."""
    with house.within(memory=200, disk=64):
        house.post(many_keys())


@pytest.mark.parametrize("coding", PACKERS)
def test_a_request_that_unfolds_without_end(house: House, coding: str) -> None:
    """Two gigabytes in a few kilobytes are not unfolded further than is read."""
    packed = unfolding(coding)
    with house.within():
        house.post(packed, content_encoding=coding)


@pytest.mark.parametrize("coding", PACKERS)
def test_an_answer_that_unfolds_without_end(house: House, coding: str) -> None:
    """A model's answer neither, neither while it passes nor afterwards."""
    house.upstream.then(_stream(unfolding(coding), content_encoding=coding))
    with house.within():
        house.post(WELL)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"messages":' + b'[{"a":' * 300_000,
        b'{"messages":["' + b"\\u0000" * 300_000 + b'"]}',
        b'{"a":"x' + b"\\" * 180_000 + b'","messages":[' + b"{}," * 1_000_000 + b"{}]}",
    ],
    ids=["arrays", "objects", "escapes", "backslashes"],
)  # fmt: skip
def test_depth_and_escapes(house: House, body: bytes) -> None:
    """Nesting without end, and a text that is all escapes, cost little."""
    with house.within():
        house.post(body)


@pytest.mark.parametrize(
    "event",
    [
        b"data:{}\n\n",
        b'data:{"type":"ping"}\n\n',
        b'data:{"type":"content_block_start","index":%d,"content_block":{}}\n\n',
        b'data:{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta",'
        b'"citation":1}}\n\n',
        b'data:{"type":"x","message_stop":1}\n\n',
    ],
    ids=["empty", "pings", "blocks", "citations", "false ends"],
)
def test_many_events(house: House, event: bytes) -> None:
    """A megabyte of small events is read in time that follows its size."""
    number = 1_000_000 // len(event)
    numbered = b"%d" in event
    events = b"".join(event % n if numbered else event for n in range(number))
    start = b'data:{"type":"content_block_start","index":0,"content_block":{}}\n\n'
    house.upstream.then(_stream(start + events + b'data:{"type":"message_stop"}\n\n'))
    with house.within():
        house.post(WELL)


@pytest.mark.parametrize("size", [1, 7], ids=["one byte", "seven bytes"])
def test_many_small_chunks(house: House, size: int) -> None:
    """A body in chunks of a byte or a few is read in time that follows its size."""
    with house.within(cpu=6.0, loop=4.0):
        house.open(house.head("transfer-encoding: chunked"))[0].sendall(
            (b"%x\r\n%b\r\n" % (size, b"x" * size)) * 200_000 + b"0\r\n\r\n"
        )


def test_a_head_of_many_fields(house: House) -> None:
    """Heads as full of fields as they may be are refused or passed for little."""
    with house.within():
        for _ in range(20):
            house.say(house.head(*["a:"] * 15_000, "connection: close", "content-length: 0"))


@pytest.mark.parametrize(
    ("path", "coding"),
    [
        # Each coding and each path: they do not depend on each other.
        ("/v1/metrics", "gzip"),
        ("/v1/logs", "deflate"),
        ("/v1/traces", "br"),
        ("/v1/logs", "zstd"),
    ],
)
def test_telemetry_that_unfolds_without_end(house: House, path: str, coding: str) -> None:
    """The ingest unfolds no further than its bound either."""
    packed = unfolding(coding)
    with house.within():
        house.post(packed, path, "ingest", content_encoding=coding)
