"""What our reader of HTTP/1.1 accepts, widely used parsers read the same way.

Request smuggling lives where two readers disagree about where a message ends. Whatever we pass on,
h11 and httptools must see as the same method, target, body and remainder; what we refuse may be
anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import h11
import httptools
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from bailee.gateway.http1 import Malformed, find_head_end, parse_request_head

_NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n"


def ours(data: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Method, target, body, remainder; None when it is refused or not complete."""
    try:
        end = find_head_end(data)
        if end < 0:
            return None
        head = parse_request_head(data[:end])
        body = head.body()
        payload, rest = b"", data[end:]
        if not body.done:
            payload, rest = body.feed(rest)
        if not body.done:
            return None
    except Malformed:
        return None
    return head.method, head.target, payload, rest


def by_h11(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The same, read by h11."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    payload = b""
    while not isinstance(part := connection.next_event(), h11.EndOfMessage):
        assert isinstance(part, h11.Data)
        payload += bytes(part.data)
    return request.method, request.target, payload, connection.trailing_data[0]


class _Seen:
    """What httptools calls back with."""

    def __init__(self) -> None:
        self.target: list[bytes] = []
        self.bodies: list[bytes] = []
        self.complete = 0

    def on_message_begin(self) -> None:
        """A message begins."""
        self.bodies.append(b"")

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.target.append(url)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.bodies[-1] += body

    def on_message_complete(self) -> None:
        """A message ends."""
        self.complete += 1


def _names() -> st.SearchStrategy[bytes]:
    known = (b"Content-Length", b"Transfer-Encoding", b"Connection", b"content-length", b"Expect")
    return st.one_of(st.sampled_from(known), st.from_regex(rb"\A[A-Za-z][A-Za-z0-9_-]{0,8}\Z"))


def _values() -> st.SearchStrategy[bytes]:
    telling = (b"0", b"3", b"5", b"+5", b"0x5", b"5, 5", b"chunked", b"gzip, chunked", b"Chunked",
               b"close", b"x-a, content-length", b"identity", b"", b"\t7 ", b"5\x0b")  # fmt: skip
    return st.one_of(st.sampled_from(telling), st.from_regex(rb"\A[!-~ ]{0,12}\Z"))


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    line_end = draw(st.sampled_from([b"\r\n"] * 9 + [b"\n", b"\r", b"\r\n "]))
    separator = draw(st.sampled_from([b": "] * 6 + [b":", b" : ", b":\t"]))
    version = draw(st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10"]))
    lines = [
        draw(st.sampled_from([b"POST", b"GET", b"PUT"])) + b" /v1/messages?beta=true " + version
    ]
    fields = [(b"Host", b"h"), *draw(st.lists(st.tuples(_names(), _values()), max_size=4))]
    lines += [name + separator + value for name, value in draw(st.permutations(fields))]
    body = draw(
        st.sampled_from(
            [b"", b"abc", b"hello", b"5\r\nhello\r\n0\r\n\r\n",
             b"5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
             b"05\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
             b"-5\r\nhello\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n"]
        )
    )  # fmt: skip
    return line_end.join(lines) + b"\r\n\r\n" + body + _NEXT


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(_requests())
@example(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" + _NEXT)
@example(
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n" + _NEXT
)
@settings(max_examples=600)
def test_what_we_accept_others_read_the_same_way(data: bytes) -> None:
    """Method, target, body and where the next message begins agree with h11 and httptools."""
    read = ours(data)
    event("refused" if read is None else "accepted")
    if read is None:
        return
    method, target, body, rest = read

    assert (method, target, body, rest) == by_h11(data)

    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(data[: len(data) - len(rest)])
    assert (method, target, body) == (parser.get_method(), b"".join(seen.target), seen.bodies[0])
    assert 1 == seen.complete


@given(_requests(), st.integers(1, 40))
@settings(max_examples=200)
def test_how_it_arrives_does_not_matter(data: bytes, size: int) -> None:
    """The same bytes in pieces of any size give the same body and remainder."""
    whole = ours(data)
    if whole is None:
        return
    end = find_head_end(data)
    body = parse_request_head(data[:end]).body()
    payload, rest = b"", b""
    for piece in _pieces(data[end:], size):
        if body.done:
            rest += piece
        else:
            part, more = body.feed(piece)
            payload += part
            rest += more

    assert whole[2:] == (payload, rest)
