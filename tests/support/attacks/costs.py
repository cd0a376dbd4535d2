"""What it costs to read what comes from outside: entry points, pieces of input, and a measure.

Time must follow the size: four times as much of the same may not take more than ten times as long,
and no byte more than `PER_BYTE`. `tests/hostile/test_costs.py` tries every piece at every entry
point; the fuzzer `fuzz_costs` puts pieces together and changes them.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.errors import InputError
from bailee.gateway.completion import hold_for
from bailee.gateway.http1 import Malformed, find_head_end, parse_request_head
from bailee.gateway.http1.bodies import ChunkedBody
from bailee.gateway.routes import recorded_target, route
from bailee.ingest.bodies import unpacked
from bailee.items.view import view, view_answer
from bailee.testing.upstream import frame
from bailee.vault.conversations import links
from bailee.vault.delta import digest_key, encode, replies
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.known import KnownPieces
from bailee.vault.packing import Unpackable, unpack
from bailee.vault.packing import pack as packed_value
from bailee.vault.rebuilding import Rebuilder
from support.attacks.bombs import MIB, PACKERS

Entry: TypeAlias = Callable[[bytes, int], None]
"""Reads a text, in reads of so many bytes where it comes in reads."""

FACTOR: Final = 4
# Seconds of processor that any input may take, and for each of its bytes. Instrumented for a
# fuzzer it takes several times what it takes elsewhere.
AT_ONCE: Final = 0.05
PER_BYTE: Final = 40e-6
LONGEST: Final = 1 << 15
SSE, FRAMES = "text/event-stream", "application/vnd.amazon.eventstream"
KNOWN: Final = KnownPieces(digest_key(bytes(32)))
TERMS: Final = Terms("P30D", "c", "0" * 64)


def exchange(
    request: bytes,
    answer: bytes,
    kind: str,
    coding: str = "",
    asked: str = "",
    api: Api = Api.MESSAGES,
) -> CapturedExchange:
    """A captured exchange with these bodies."""
    return CapturedExchange(
        "req_1", "acc", "key", "team", "api", TERMS, 0.0, 1.0, Outcome.COMPLETE, "POST",
        "/v1/messages", 200, (("content-encoding", asked),),
        (("content-type", kind), ("content-encoding", coding)), request, answer, 0, api,
    )  # fmt: skip


def kept_and_rebuilt(body: bytes, _size: int, api: Api = Api.MESSAGES) -> None:
    """A request taken apart, kept as deltas of a session, put together again and shown."""
    found = interpret(exchange(body, b"", "", api=api))
    links(KNOWN.key, "acc", found)
    view(api, found.messages or [])
    known = KnownPieces(KNOWN.key)
    rebuilder = Rebuilder()
    for number, messages in enumerate(
        (found.messages, (found.messages or [])[1:], (found.messages or [])[::-1])
    ):
        with contextlib.suppress(Unpackable):
            delta = encode(number, found.fields, messages, found.answer, known, api=api)
            known.places |= delta.learned
            body_: Any = unpack(packed_value({**delta.body, "api": str(api)}))
            rebuilder.add(number, body_)


def answered(kind: str, api: Api = Api.MESSAGES) -> Entry:
    """An answer of this type taken apart, and shown."""

    def run(body: bytes, _size: int) -> None:
        found = interpret(exchange(b"{}", body, kind, api=api))
        view_answer(api, found.answer)
        replies(api, found.answer)

    return run


def of_api(api: Api, name: bytes) -> Entry:
    """A request of another API; what is a list of messages is one of items too."""

    def run(body: bytes, size: int) -> None:
        kept_and_rebuilt(body.replace(b'"messages"', name, 1), size, api)

    return run


def held(kind: str) -> Entry:
    """An answer of this type on its way to the client, in reads of `size` bytes."""

    def run(body: bytes, size: int) -> None:
        hold = hold_for(kind.encode(), b"")
        out = [hold.feed(body[at : at + size]) for at in range(0, len(body), size)]
        assert body == b"".join([*out, hold.rest()])

    return run


def head(body: bytes, _size: int) -> None:
    """A request's head."""
    with contextlib.suppress(Malformed):
        if (end := find_head_end(body)) >= 0:
            parse_request_head(body[:end])


def chunks(body: bytes, size: int) -> None:
    """A body in chunks, in reads of `size` bytes."""
    chunked = ChunkedBody()
    with contextlib.suppress(Malformed):
        for at in range(0, len(body), size):
            chunked.feed(body[at : at + size])


def path(body: bytes, _size: int) -> None:
    """A request's target. No head is longer than 64 KiB."""
    target = b"/" + body.replace(b" ", b"")[: 1 << 16]
    route(b"POST", target)
    recorded_target(target)


def unpacking(body: bytes, _size: int) -> None:
    """Bytes that are said to be packed, at each place where bytes are unpacked."""
    for coding in PACKERS:
        interpret(exchange(body, body, SSE, coding, coding))
        hold = hold_for(SSE.encode(), coding.encode())
        assert body == hold.feed(body) + hold.rest()
        with contextlib.suppress(InputError):
            unpacked(body, coding, 1 << 20)


def void(_: object) -> None:
    """For what is made and not looked at."""


_DELTA = '{"type":"content_block_delta","index":0,"delta":{"type":"%s","%s":"x"}}'
EVENTS = [
    b"data:{}\n\n", b"data:\n", b":\n\n", b"\r", b"event: x\r\n\r\n", b'data:{"type":"ping"}\n\n',
    b'data:{"type":"message_stop"', b'data:{"type":"message_stop"}\n', b"message_stop", b"data:[",
    b'data:{"type":"content_block_start","index":0,"content_block":{}}\n\n',
    *(b"data:" + (_DELTA % pair).encode() + b"\n\n" for pair in (
        ("text_delta", "text"), ("input_json_delta", "partial_json"),
        ("citations_delta", "citation"), ("quince_delta", "quince"))),
    b'data:{"type":"message_delta","delta":{"a":1},"usage":{"b":2}}\n\n',
]  # fmt: skip
_OF_RESPONSES = '{"type":"response.%s","output_index":0,"content_index":0,"item_id":"i",%s}'
RESPONSES_EVENTS = [
    b"data:[DONE]\n\n", b'data:{"type":"response.created","response":{"a":[0,0]}}\n\n',
    *(b"data:" + (_OF_RESPONSES % pair).encode() + b"\n\n" for pair in (
        ("output_text.delta", '"delta":"x"'), ("output_text.done", '"text":"x"'),
        ("output_item.added", '"item":{"type":"message","content":[{}]}'),
        ("output_item.done", '"item":{"a":[1,2]}'), ("web_search_call.searching", '"a":1'),
        ("content_part.done", '"part":{"type":"output_text","text":"x"}'))),
]  # fmt: skip
CHAT_CHUNKS = [
    b'data:{"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n',
    b'data:{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"x"}'
    b"}]}}]}\n\n",
    b'data:{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"a","b":{"c":"d"}}]}}]}\n\n',
    b'data:{"choices":[{"index":0,"logprobs":{"content":[{"a":1}]}}],"usage":{"a":1}}\n\n',
    b'data:{"choices":[{"delta":{"a":{"b":{"c":[1]}}},"finish_reason":"x"}]}\n\n', b"data:{}\n\n",
]  # fmt: skip
GEMINI_CHUNKS = [
    b'data:{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}\n\n',
    b'data:{"candidates":[{"content":{"parts":[{"functionCall":{"a":[1,2]}},{}]}}]}\n\n',
    b'data:{"response":{"candidates":[{"index":1,"finishReason":"x","safetyRatings":[{"a":1}]}]},'
    b'"usageMetadata":{"a":1}}\n\n',
    b"data:{}\n\n",
]
LONG = b"x" * LONGEST
LISTED = [b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]},', b"{},", b"[", b"0,"]
PIECES = [
    b"0,", b"{},", b"[", b'{"a":', b'"",', b'"\\u0000",', b"\\\\", b"1" * 19 + b",", b" ", b"1e9,",
    b'{"role":"user","content":"x"},', b'{"type":"text","text":"x"},',
    b'{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},',
]  # fmt: skip
START = b'data:{"type":"content_block_start","index":0,"content_block":{}}\n\n'
MESSAGES = [
    (b'{"messages":[', b"0]}"), (b'{"tools":[', b'0],"messages":[]}'), (b'{"system":[', b"0]}"),
    (b'{"messages":[{"role":"user","content":[', b"0]}]}"), (b"", b""),
    (b'{"metadata":{"user_id":"', b'"}}'),
]  # fmt: skip
LINE = b"POST /v1/messages HTTP/1.1\r\nHost: h\r\n"
# A frame of Bedrock's Converse, after which another is waited for.
CONVERSED: Final = (
    b"\0\0\0\x2c\0\0\0\x1a" + b"\0" * 4 + b"\x0b:event-type\x07\0\x0bmessageStop{}" + b"\0" * 4
)
HELD: Final = (held(SSE), held(FRAMES))
IN_READS: Final = (*HELD, chunks)
# Entry point, beginnings and ends, pieces.
SHAPES: list[tuple[Entry, list[tuple[bytes, bytes]], list[bytes]]] = [
    (kept_and_rebuilt, MESSAGES, PIECES),
    (answered("application/json"), [(b'{"type":"message","content":[', b"0]}"), (b"", b"")],
     PIECES),
    (answered(SSE), [(START, b'data:{"type":"message_stop"}\n\n'), (b"", b"")], EVENTS),
    (of_api(Api.RESPONSES, b'"input"'), MESSAGES, [
        *PIECES, b'{"type":"function_call_output","output":[{}]},', b'{"type":"x_call"},']),
    (of_api(Api.CHAT, b'"messages"'), MESSAGES, [*PIECES, b'{"role":"tool","tool_calls":[{}]},']),
    (of_api(Api.GEMINI, b'"contents"'), MESSAGES, [
        *PIECES, b'{"role":"user","parts":[{"functionCall":{}}]},']),
    (answered(SSE, Api.RESPONSES),
     [(b"", b'data:{"type":"response.completed","response":{"output":[]}}\n\n'), (b"", b"")],
     RESPONSES_EVENTS),
    (answered(SSE, Api.CHAT),
     [(b"", b"data:[DONE]\n\n"), (b"", b""), (b'data:{"choices":[{"a":"%b"}' % LONG, b"]}\n\n")],
     [*CHAT_CHUNKS, b',{"index":0,"b":[1]}']),
    (answered(SSE, Api.GEMINI),
     [(b"", b""), (b'data:{"candidates":[{"content":{"parts":[{"a":"%b"}' % LONG, b"]}}]}\n\n")],
     [*GEMINI_CHUNKS, b',{"functionCall":{}}']),
    (answered("application/json", Api.GEMINI), [(b"[", b"{}]"), (b"", b"")], LISTED),
    (answered(FRAMES), [(b"", b"")], [frame({"type": "ping"}), b"\0\0\0\x10" + b"\0" * 12, b"\0"]),
    (HELD[0], [(b"", b""), (b"data:", b"\n\n"), (b'data:{"type":"message_stop"', b"")], EVENTS),
    (HELD[1],
     [(b"", b""), (b"\x00\xff\xff\xff", b""), (b"\x00\x01\xff\xff", b""), (CONVERSED, b"")],
     [frame({"type": "ping"}), frame({"type": "message_stop"}), b"\0\0\0\x10" + b"\0" * 12, b"\0"]),
    (head, [(LINE, b"\r\n"), (LINE + b"Connection: ", b"\r\n\r\n"), (b"", b"")],
     [b"a:\r\n", b"a", b",x", b"Content-Length: 1\r\n", b"\n", b" ", b"X-Api-Key: a\r\n", b"\r"]),
    (chunks, [(b"", b"0\r\n\r\n"), (b"1;", b"\r\nx\r\n"), (b"0\r\n", b"\r\n")],
     [b"1\r\nx\r\n", b"0", b"1;a\r\nx\r\n", b"f", b" ", b"a: b\r\n", b"\r", b"\n"]),
    (path, [(b"", b""), (b"v1/messages", b""), (b"vertex/", b"/models/m:rawPredict"),
            (b"bedrock/model/", b"/invoke"), (b"v1/messages?", b"")],
     [b"/", b"%2f", b"a", b"/models/", b"..", b"&beta", b";", b"%25", b"\xff", b":"]),
    (unpacking, [(b"", b"")], [b"\0", *(pack(bytes(MIB))[:2000] for pack in PACKERS.values()),
                               *(pack(b"") for pack in PACKERS.values())]),
]  # fmt: skip


def spent(entry: Entry, body: bytes, size: int) -> float:
    """Seconds of processor."""
    began = time.thread_time()
    entry(body, size)
    return time.thread_time() - began


def dear(entry: Entry, begin: bytes, piece: bytes, end: bytes, size: int) -> str | None:
    """What is wrong with what this costs, or None. It is repeated `LONGEST` bytes long, and a
    quarter of it; `size` is that of reads.
    """
    number = max(1, LONGEST // FACTOR // len(piece))
    less = begin + piece * number + end
    more = begin + piece * (number * FACTOR) + end
    for _ in range(4):  # what else the machine does must not be what is found
        small, large = spent(entry, less, size), spent(entry, more, size)
        most = AT_ONCE + PER_BYTE * len(more)
        if large <= AT_ONCE or (large <= most and large <= 2.5 * FACTOR * small):
            return None
        if large > 4 * most:
            break
        gc.collect()
    return f"{large:.3f} s for {len(more)} bytes, {small:.3f} s for {len(less)}: {more[:200]!r}"
