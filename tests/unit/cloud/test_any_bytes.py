"""Both proxies, given any bytes at all: they end, they answer in order, and nobody is connected to
whom the rules don't allow.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.cloud.egress import Budgets, ConnectionOutcome, EgressProxy, EgressRecord, EgressRules
from bailee.cloud.git import CredentialUse, GitLimits, GitProxy, GitRecord, Repository
from bailee.outbound.addresses import Address
from bailee.outbound.dialing import Dialer, Unreachable
from bailee.outbound.hosts import Host, read_host

LINE = b"%b %b refs/heads/bailee/s\0report-status" % (b"0" * 40, b"1" * 40)
PUSH = b"%04x%b0000" % (len(LINE) + 4, LINE)


@dataclass
class _Kept:
    """A writer that keeps what is written."""

    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Nobody(Dialer):
    """Notes who was to be connected to, and connects to nobody."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    async def connect(
        self, host: Host, port: int, tls: ssl.SSLContext | None = None, *, tunnel: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address | None]:
        self.asked.append((host.name, port))
        raise Unreachable("connect.failed", "it took no connection")

    async def open(
        self, host: Host, port: int, _made: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, Address] | None:
        self.asked.append((host.name, port))
        raise Unreachable("connect.failed", "it took no connection")


lines = st.sampled_from(
    [
        *(b"Host: allowed.test", b"Host: evil.test", b"Host: git.test", b"Host: allowed.test:443"),
        *(b"Content-Length: 4", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"X: y"),
        *(b"Connection: close", b"Expect: 100-continue", b"Authorization: Bearer token"),
        *(b"Authorization: Bearer other", b"Content-Encoding: gzip", b"Git-Protocol: version=2"),
    ]
)
egress_targets = st.sampled_from(
    [
        *(b"allowed.test:443", b"allowed.test:80", b"allowed.test:22", b"evil.test:443"),
        *(b"allowed.test.evil.test:443", b"127.0.0.1:443", b"0x7f.1:443", b"a@allowed.test:443"),
        *(b"http://allowed.test/", b"http://allowed.test:80/a?b", b"http://evil.test/"),
        *(b"http://allowed.test@evil.test/", b"http://evil.test#allowed.test/", b"/", b"*"),
        *(b"http://allowed.test\\.evil.test/", b"https://allowed.test/", b"HTTP://ALLOWED.TEST."),
    ]
)
git_targets = st.sampled_from(
    [
        *(b"/git.test/a/b/info/refs?service=git-upload-pack", b"/git.test/a/b/git-upload-pack"),
        *(b"/git.test/a/b/info/refs?service=git-receive-pack", b"/git.test/a/b/git-receive-pack"),
        *(b"/git.test/a/c/git-upload-pack", b"/git.test/a/b/../c/git-upload-pack", b"/", b"*"),
        *(b"/git.test/a/b/info/lfs/objects/batch", b"/git.test/a/b/HEAD"),
    ]
)
bodies = st.sampled_from(
    [b"", b"0000", b"0009done\n", b"4\r\n0000\r\n0\r\n\r\n", b"0\r\n\r\n", b"abcd", PUSH]
) | st.binary(max_size=12)


@st.composite
def requests(draw: st.DrawFn, targets: st.SearchStrategy[bytes]) -> bytes:
    """One or two requests, whole or damaged."""
    data = b""
    for _ in range(draw(st.integers(1, 2))):
        target = draw(targets)
        fitting = b"CONNECT" if target[-1:].isdigit() and b"/" not in target else b"GET"
        fitting = b"POST" if target.endswith(b"-pack") and b"?" not in target else fitting
        method = draw(st.sampled_from([fitting] * 4 + [b"CONNECT", b"GET", b"POST"]))
        host = target.partition(b"//")[2].partition(b"/")[0] or b"git.test"
        usual = [b"Host: " + host, b"Authorization: Bearer token"]
        usual += [b"Transfer-Encoding: chunked"] * (fitting == b"POST")
        given = [line for line in usual if draw(st.integers(0, 9))] + draw(
            st.lists(lines, max_size=1)
        )
        head = b"%b %b HTTP/1.1\r\n%b" % (
            *(method, target),
            b"".join(line + b"\r\n" for line in given),
        )
        data += head + b"\r\n" + draw(bodies)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at, byte = draw(st.integers(0, len(data) - 1)), draw(st.binary(max_size=2))
        data = data[:at] + byte + data[at + draw(st.integers(0, 2)) :]
    return data or b"\0"


async def serve(proxy: EgressProxy | GitProxy, data: bytes) -> bytes:
    """What a proxy answers to bytes that then end."""
    reader, writer = asyncio.StreamReader(), _Kept()
    reader.feed_data(data)
    reader.feed_eof()
    await asyncio.wait_for(proxy.serve(reader, writer), 30)
    return bytes(writer.data)


@given(requests(egress_targets) | st.binary(max_size=100))
@settings(max_examples=500)
def test_the_egress_proxy(data: bytes) -> None:
    """Nobody is connected to but the one allowed host; every attempt is on record, without what
    was sent; what is answered is HTTP.
    """
    dialer, records = _Nobody(), list[EgressRecord]()
    proxy = EgressProxy(
        EgressRules.of("trusted", allow=["allowed.test"]),
        record=records.append,
        dialer=dialer,
        budgets=Budgets(head=5),
    )
    answer = asyncio.run(serve(proxy, data))
    assert set(dialer.asked) <= {("allowed.test", 443), ("allowed.test", 80)}
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert answer.count(b"x-bailee-rule: ") == len(records)
    assert not any(one.outcome is ConnectionOutcome.ALLOWED for one in records)
    for one in records:
        assert one.host == "" or read_host(one.host.join("[]") if ":" in one.host else one.host)


@given(requests(git_targets) | st.binary(max_size=100))
@settings(max_examples=500)
def test_the_git_proxy(data: bytes) -> None:
    """Nobody is connected to but the session's git server, and only with the session's token."""
    dialer, records, asked = _Nobody(), list[GitRecord](), list[CredentialUse]()

    async def credential(access: CredentialUse) -> str:
        asked.append(access)
        return "Basic dG9w"

    proxy = GitProxy(
        Repository.read("https://git.test/a/b"),
        branch="refs/heads/bailee/s",
        token="token",
        credential=credential,
        record=records.append,
        dialer=dialer,
        limits=GitLimits(idle=5),
        tls=_TLS,
    )
    answer = asyncio.run(serve(proxy, data))
    assert set(dialer.asked) <= {("git.test", 443)}
    assert len(dialer.asked) <= len(asked)
    assert not asked or b"token" in data
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert b"dG9w" not in answer


_TLS = ssl.create_default_context()
