"""A CONNECT that is read in one look is read as h11 reads it, or not at all."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.outbound.forward_proxy import NotServed, tunnel_of
from bailee.outbound.forwarding.connects import read_connect
from bailee.outbound.http1 import values

pytestmark = pytest.mark.row("C3", "S7")

LINES = st.sampled_from(
    [
        *(b"Host: a.example:443", b"host:a.example", b"Host: ", b"Host: a b", b"HOST:\tx"),
        *(b"User-Agent: curl/8 (x; y)", b"Proxy-Authorization: Basic cGVhcnM6",),
        *(b"proxy-authorization: x", b"Proxy-Connection: keep-alive", b"Content-Length: 0"),
        *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close"),
        *(b" folded", b"Name : x", b"X: \x00", b"X: \xff", b"X", b": x", b"X: a\rb", b"X: a\nb"),
    ]
)  # fmt: skip
TARGETS = st.sampled_from(
    [
        *(b"a.example:443", b"A.Example.:443", b"[::1]:443", b"127.1:80", b"a.example", b":443"),
        *(b"u@a.example:443", b"a.example:0", b"evil\\@a.example:443", b"a.example:443\x0b"),
        *(b"http://a.example/", b"a.example:443#", b"xn--bcher-kva.example:443"),
    ]
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A CONNECT, more or less."""
    ends = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"])
    version = draw(st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2", b"http/1.1"]))
    head = b"CONNECT " + draw(TARGETS) + b" " + version + draw(ends)
    for line in draw(st.lists(LINES, max_size=4)):
        head += line + draw(ends)
    return head + b"\r\n"


@given(heads())
def test_it_is_read_as_h11_reads_it(head: bytes) -> None:
    """What is taken, h11 takes; host, port and what is shown are the same, and so is a refusal."""
    try:
        found = read_connect(head)
        refused = None
    except NotServed as error:
        found, refused = None, error
    if found is None and refused is None:
        return
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(head)
    request = reader.next_event()
    assert isinstance(request, h11.Request) and request.method == b"CONNECT"
    if found is None:
        with pytest.raises(NotServed) as also:
            tunnel_of(request)
        assert str(also.value) == str(refused)
        return
    assert found == (*tunnel_of(request), values(request.headers, b"proxy-authorization"))
    assert isinstance(reader.next_event(), h11.EndOfMessage) and reader.trailing_data[0] == b""


def test_the_usual_one_is_taken() -> None:
    """As curl, Python and Node write it: else all of them would take the slow way."""
    for more in ("", "User-Agent: curl/8.1\r\nProxy-Connection: Keep-Alive\r\n"):
        head = f"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n{more}\r\n"
        found = read_connect(head.encode())
        assert found is not None
        assert ("b.example", 443, []) == (found[0].name, *found[1:])
