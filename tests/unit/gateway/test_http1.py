"""Heads and bodies as bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.gateway.http1 import (
    ChunkedBody,
    LengthBody,
    Malformed,
    UntilClose,
    find_head_end,
    parse_answer_head,
    parse_request_head,
    without,
)

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).filter(
    lambda name: (
        name.lower()
        not in {
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "host",
            "expect",
            "content-length",
            "authorization",
            "x-api-key",
            "x-bailee-key",
        }
    )
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def lines(fields: list[tuple[str, str]]) -> bytes:
    """Field lines."""
    return "".join(f"{name}:{value}\r\n" for name, value in fields).encode()


@given(before=FIELDS, after=FIELDS)
def test_other_fields_stay_as_they_came(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    """Whatever stands around the fields that end here keeps its order, spelling and spacing."""
    ends = b"HOST: a\r\ncOnnection: close\r\nX-Api-Key:  k \r\nTE: x\r\n"
    head = parse_request_head(
        b"GET /a?b HTTP/1.1\r\n" + lines(before) + ends + lines(after) + b"\r\n"
    )
    assert lines(before) + lines(after) == head.kept
    assert {b"x-api-key": b"k"} == head.credentials
    assert (b"GET", b"/a?b", 1, False) == (head.method, head.target, head.minor, head.keep_alive)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    """Any bytes are a head, are malformed, or are not there yet."""
    for text in (data, data + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(Malformed):
            end = find_head_end(text)
            if end > 0:
                parse_request_head(text[:end])
        with contextlib.suppress(Malformed):
            parse_answer_head(b"HTTP/1.1 200 OK\r\n" + text + b"\r\n\r\n", b"GET")


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    surplus=st.binary(max_size=10),
)
def test_chunks_come_out_the_same_however_they_are_split(
    pieces: list[bytes], cuts: list[int], surplus: bytes
) -> None:
    """Any split of a chunked body gives the same payload, and what follows it is given back."""
    wire = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    wire += b"0\r\nTrailer: x\r\n\r\n" + surplus
    body, payload, rest = ChunkedBody(), b"", b""
    at = 0
    for cut in [*sorted(cuts), len(wire)]:
        if body.done:
            rest += wire[at : max(at, cut)]
        else:
            got, rest = body.feed(wire[at : max(at, cut)])
            payload += got
        at = max(at, cut)
    assert body.done
    assert b"".join(pieces) == payload
    assert surplus == rest


@pytest.mark.parametrize(
    "wire",
    [
        b"0x5\r\nhello\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n",
        b"\r\n",
        b" 5\r\nhello\r\n",
        b"1_0\r\n",
        b"0\r\nnot a field\r\n\r\n",
        b"0\r\n\n",
        b"ffffffffffffffff\r\n",
        b"1" * 5000,
    ],
)
def test_chunks_that_could_be_misread_are_refused(wire: bytes) -> None:
    """Nothing but hexadecimal digits, an extension and CRLF."""
    with pytest.raises(Malformed):
        ChunkedBody().feed(wire)


@given(st.binary(max_size=50), st.integers(0, 60))
def test_a_counted_body_ends_where_its_length_says(data: bytes, length: int) -> None:
    """No byte more, and what follows is given back."""
    body = LengthBody(length)
    payload, rest = body.feed(data)
    assert (data[:length], data[length:]) == (payload, rest)
    assert (len(data) >= length) == body.done


@pytest.mark.parametrize(
    ("status", "method", "fields", "body", "delimited"),
    [
        (200, b"POST", b"content-length: 3\r\n", LengthBody, True),
        (200, b"POST", b"transfer-encoding: chunked\r\n", ChunkedBody, True),
        (200, b"POST", b"", UntilClose, False),
        (200, b"HEAD", b"content-length: 3\r\n", LengthBody, True),
        (204, b"POST", b"", LengthBody, True),
        (304, b"GET", b"content-length: 3\r\n", LengthBody, True),
    ],
)
def test_how_an_answer_is_delimited(
    status: int, method: bytes, fields: bytes, body: type, delimited: bool
) -> None:
    """RFC 9112, 6.3."""
    head = parse_answer_head(b"HTTP/1.1 %d X y\r\n%b\r\n" % (status, fields), method)
    assert b"X y" == head.reason
    assert body is type(head.body())
    assert delimited == head.delimited
    assert (status != 200 or method == b"HEAD") == head.body().done


def test_connection_names_fields_that_end_here() -> None:
    """But not the framing: that is not Connection's to change."""
    head = parse_request_head(
        b"POST / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 5\r\n"
        b"Connection: x-a , Content-Length\r\n\r\n"
    )
    assert b"x-b: 2\r\nContent-Length: 5\r\n" == head.kept
    assert (5, True) == (head.length, head.keep_alive)


def test_fields_are_taken_out_by_name() -> None:
    """Whatever their spelling."""
    assert b"B: 2\r\n" == without(b"a: 1\r\nB: 2\r\nA: 3\r\n", frozenset({b"a"}))
