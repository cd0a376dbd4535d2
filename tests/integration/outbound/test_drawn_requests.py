"""Requests drawn at random, sent to a real proxy over real sockets: whatever they are, what goes
out is for the allowed host, and is read by every reader as what it was judged to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailee.agent.egress import SandboxRules
from bailee.outbound.addresses import Address
from bailee.outbound.client_hello import read_client_hello
from bailee.outbound.dialing import Dialer
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.proxy import ForwardProxy
from bailee.outbound.network import Network

ALLOWED, OTHER = "ok.test", "evil.test"
HERE = ipaddress.ip_address("127.0.0.1")
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


PATHS = ("/a b", "?x", "/#f", "/\x01", "/%0d%0a", "/\t", "/\r\nX: ", "*", "/" + 300 * "y")


@dataclass
class Outside:
    """Everything beyond the proxy: each name that was asked for, each connection's bytes."""

    names: list[str] = field(default_factory=list)
    said: list[bytearray] = field(default_factory=list)
    port: int = 0

    async def resolve(self, name: str, _port: int) -> Sequence[Address]:
        """Every name is here."""
        self.names.append(name)
        return [HERE]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what comes; answer what may be a request, or a tunnel's beginning."""
        said = bytearray()
        self.said.append(said)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                said += data
                if b"\n\n" in said.replace(b"\r", b"") and data:
                    writer.write(ANSWER)
            writer.close()


def hello(name: str | None) -> bytes:
    """TLS's first message, for a server of that name."""
    extensions = b""
    if name is not None:
        text = name.encode()
        entry = b"\0" + len(text).to_bytes(2) + text
        listed = len(entry).to_bytes(2) + entry
        extensions = b"\0\0" + len(listed).to_bytes(2) + listed
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    body += len(extensions).to_bytes(2) + extensions
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\3\1" + len(message).to_bytes(2) + message


hosts = st.sampled_from([
    "ok.test:{port}", "OK.test.:{port}", "ok.test", "evil.test:{port}", "ok.test@evil.test:{port}",
    "evil.test\\@ok.test:{port}", "ok.test:{port}@evil.test", "ok.test%2eevil.test:{port}",
    "ok.test#.evil.test:{port}", "ok.test:0", "ok.test:0{port}", "ok.test:+{port}",
    "\u24dek.test:{port}", "ok\u3002test:{port}", "127.0.0.1:{port}", "2130706433:{port}",
    "0177.1:{port}", "[::ffff:127.0.0.1]:{port}", "[::1%25lo]:{port}", "ok.test\t:{port}",
    "ok.test\0evil.test:{port}", "ok.test..:{port}", "ok.test:{port}\nevil.test", "",
])  # fmt: skip
endings = st.sampled_from(["\r\n"] * 6 + ["\n", "\r", "\r\r\n", "\n\r"])
SECOND = "GET http://evil.test:{port}/ HTTP/1.1\r\nHost: evil.test:{port}\r\n\r\n"
fields = st.sampled_from([
    "Host: ok.test:{port}", "Host: evil.test:{port}", "Host : ok.test:{port}", " folded",
    "\tHost: evil.test",
    "Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity",
    "transfer-encoding:chunked",
    "Content-Length: 5", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length: 5, 6",
    "Content-Length: 0x5", "Content-Length: 99", "Connection: close, host, content-length",
    "Connection: transfer-encoding", "Expect: 100-continue", "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQ",
    "X: a\n" + SECOND, "X: a\r" + SECOND, "X: a\0b", "X\0: b", ": b", "X", "X: \x7f\xff",
    "Proxy-Authorization: Basic YTpi", "X: " + "y" * 200,
])  # fmt: skip
bodies = st.sampled_from([
    "", "12345", "0\r\n\r\n", "5\r\n12345\r\n0\r\n\r\n", "5\n12345\n0\n\n", "5;\n" + SECOND,
    "5;a=\r\n12345\r\n0\r\nHost: evil.test\r\n\r\n", "-1\r\n\r\n", "0x5\r\n12345\r\n0\r\n\r\n",
    "ffffffffffffffffff\r\nx", "5\r\n12345" + SECOND, "2\r\n\r\n\r\n0\r\n\r\n",
])  # fmt: skip


FIRST = (
    *(hello("ok.test"), hello("OK.TEST"), hello("ok.test."), hello("evil.test"), hello(None)),
    *(hello("127.0.0.1"), hello("ok.test\0evil.test"), hello("ok.test") + hello("evil.test")),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\3\1\0\0", b""),
)


def mostly(draw: st.DrawFn, usual: str, else_of: st.SearchStrategy[str]) -> str:
    """The usual, but for one time in eight."""
    return usual if draw(st.integers(0, 7)) else draw(else_of)


HOST = "ok.test:{port}"


@st.composite
def requests(draw: st.DrawFn) -> str:
    """One request, or nearly: most of its parts are as they should be."""
    host, end = mostly(draw, HOST, hosts), mostly(draw, "\r\n", endings)
    scheme = mostly(draw, "http://", st.sampled_from(["HTTP://", "https://", "//", "", "ws://"]))
    path = mostly(draw, "/", st.sampled_from(PATHS))
    method = mostly(draw, "POST", st.sampled_from(["GET", "OPTIONS", "PRI", "get", "G\x00T"]))
    version = mostly(draw, "HTTP/1.1", st.sampled_from(["HTTP/1.0", "HTTP/2.0", "http/1.1", ""]))
    lines = [f"{method} {scheme}{host}{path} {version}", "Host: " + mostly(draw, host, hosts)]
    lines += draw(st.lists(fields, max_size=2))
    head = "".join(line + mostly(draw, end, endings) for line in lines)
    return head + end + draw(bodies)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """What a client says in one connection, from its first byte to its last."""
    parts: list[str | bytes] = []
    if draw(st.booleans()):
        host, end = mostly(draw, HOST, hosts), mostly(draw, "\r\n", endings)
        parts.append(f"CONNECT {host} HTTP/1.1{end}Host: {mostly(draw, host, hosts)}{end}{end}")
        within = draw(requests()).replace(f"http://{HOST}", "", 1)
        parts.append(draw(st.sampled_from([*FIRST, within.encode(), within.encode()])))
    parts += draw(st.lists(requests(), min_size=1, max_size=2))
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)


def what_is_wrong(said: bytes, authority: str) -> str | None:
    """Why what went out may not have; None if it may."""
    if said[:1] == b"\x16":
        found = read_client_hello(said)
        named = None if found is None else found.server_name
        return None if named == ALLOWED else f"TLS for {named}"
    head, blank, _ = said.partition(b"\r\n\r\n")
    if not blank:
        return None if not said else "half a head"
    if re.search(rb"(?<!\r)\n|\r(?!\n)|\0", head):
        return "a line of the head that readers end differently"
    if head.lower().count(b"\r\nhost:") != 1 or f"\r\nhost: {authority}\r\n".encode() not in (
        head.lower() + b"\r\n"
    ):
        return "its Host"
    if re.search(rb"\r\n(?:proxy-|upgrade|te:|[ \t])", head.lower()):
        return "a field of the hop"
    asked = head.split(b" ")[1]
    if not asked.startswith(b"/") and asked != b"*":
        return "an address"
    if {b"content-length", b"transfer-encoding"} <= {
        line.partition(b":")[0].lower() for line in head.split(b"\r\n")
    }:
        return "two lengths"
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(said)
    while True:  # until it is over, or broke off
        try:
            event = reader.next_event()
        except h11.RemoteProtocolError:
            return "no request"
        if isinstance(event, h11.EndOfMessage):
            return "more than one request" if reader.trailing_data[0] else None
        if event is h11.NEED_DATA:
            return None


async def tried(conversation: bytes, at: list[int]) -> tuple[Outside, str]:
    """A client says it, in pieces that end at `at`; what came of it outside."""
    outside = Outside()
    server = await asyncio.start_server(outside.serve, "127.0.0.1", 0)
    outside.port = server.sockets[0].getsockname()[1]
    proxy = ForwardProxy(
        SandboxRules((ALLOWED,), (outside.port,)),
        record=lambda _: None,
        dialer=Dialer(
            resolve=outside.resolve, private=[ipaddress.ip_network("127.0.0.0/8")],
            network=Network({}), seconds=2,
        ),
        budgets=Budgets(head=0.3, idle=0.3),
        violations=1 << 30,
    )  # fmt: skip
    listening = await asyncio.get_running_loop().create_server(proxy.connection, "127.0.0.1", 0)
    said = conversation.replace(b"{port}", str(outside.port).encode())
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        begin = 0
        for end in sorted({min(one, len(said)) for one in (*at, len(said))}):
            writer.write(said[begin:end])
            begin = end
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        await reader.read()
        writer.close()
    await proxy.close()
    listening.close()
    server.close()
    return outside, f"{ALLOWED}:{outside.port}"


@pytest.mark.row("C3", "S7")
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(conversations(), st.lists(st.integers(1, 200), max_size=2))
def test_what_goes_out_is_what_was_allowed(conversation: bytes, at: list[int]) -> None:
    """No name but the allowed one is even looked up; of each connection outside all bytes are one
    request to that host, which no reader can take for two or for another's, or TLS that names it.
    """
    outside, authority = asyncio.run(tried(conversation, at))

    assert {*outside.names} <= {ALLOWED}
    assert [] == [why for said in outside.said if (why := what_is_wrong(bytes(said), authority))]


def test_the_drawn_ones_are_judged() -> None:
    """The judge sees what it is there for."""
    fine = b"GET / HTTP/1.1\r\nhost: ok.test:8\r\n\r\n"
    wrong = (
        fine.replace(b"ok", b"evil"), fine + fine, fine.replace(b"/ ", b"http://evil.test/ "),
        fine.replace(b"\r\n\r\n", b"\r\nx: a\nhost: evil.test\r\n\r\n"), hello("evil.test"),
    )  # fmt: skip

    assert what_is_wrong(fine, "ok.test:8") is None
    assert what_is_wrong(hello("ok.test"), "ok.test:8") is None
    assert all(what_is_wrong(one, "ok.test:8") for one in wrong)
