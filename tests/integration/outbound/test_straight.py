"""A POST without a proxy, over real sockets: what goes out, and what comes of each answer.

Rows: D1.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trustme

from bailee.errors import InputError
from bailee.outbound.network import Network
from bailee.outbound.straight import PostFailed, StraightConnection, is_plain

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def server(
    *answers: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[tuple[int, bytes]]]]:
    """A server that gives these answers, one for each request, and closes after one that says so.
    Its port; of each request on which connection it came, and its head.
    """
    left, seen, connections = list(answers), list[tuple[int, bytes]](), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine = connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(4)
                seen.append((mine, head))
                answer = left.pop(0)
                writer.write(answer)
                if b"onnection: close" in answer:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with running:
        yield running.sockets[0].getsockname()[1], seen


def way(port: int, network: Network | None = None, scheme: str = "http") -> StraightConnection:
    """The way to a server of this machine."""
    address = f"{scheme}://localhost:{port}/v1/messages?beta=true"
    made = (network or Network({})).straight(address, "The address", 5.0)
    assert made is not None
    return made


async def asked(connection: StraightConnection, *fields: tuple[str, str]) -> tuple[int, bytes]:
    """What one request is answered."""
    async with aclosing(await connection.post(fields, b"body")) as answer:
        return answer.status, b"".join([piece async for piece in answer.pieces()])


def test_a_connection_is_used_again_and_replaced_when_it_is_gone() -> None:
    """After a whole answer the same; after one that the server ends, a new one."""

    async def work() -> list[tuple[int, bytes]]:
        ending = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        async with server(OK, OK, ending, OK) as (port, seen):
            connection = way(port)
            for _ in range(4):
                assert (200, b"ok") == await asked(connection, ("x-a", "1"), ("X-A", "2"))
                await asyncio.sleep(0)
            await connection.close()
            return seen

    seen = asyncio.run(work())
    assert [1, 1, 1, 2] == [number for number, _ in seen]
    head = seen[0][1].decode()
    assert head.startswith("POST /v1/messages?beta=true HTTP/1.1\r\nhost: localhost:")
    assert "x-a: 1" not in head.lower()
    assert 1 == head.lower().count("x-a: 2")


def test_an_answer_that_is_left_costs_its_connection() -> None:
    """What was not read is not taken for the next answer."""

    async def work() -> list[int]:
        async with server(OK, OK) as (port, seen):
            connection = way(port)
            await (await connection.post((), b"body")).aclose()
            assert (200, b"ok") == await asked(connection)
            await connection.close()
            return [number for number, _ in seen]

    assert [1, 2] == asyncio.run(work())


PACKED = gzip.compress(b"a" * 1_000_000)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
            % (len(PACKED), PACKED),
            b"a" * 1_000_000,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", "broke_off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nx", "broke_off"),
        (b"SSH-2.0-OpenSSH\r\nConnection: close\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"x" * 70_000), "unreachable"),
    ],
)
def test_what_comes_of_an_answer(answer: bytes, expected: bytes | str) -> None:
    """It is read as it is meant, or said to be none."""

    async def work() -> bytes | str:
        async with server(answer) as (port, _):
            connection = way(port)
            try:
                return (await asked(connection))[1]
            except PostFailed as failed:
                return failed.how
            finally:
                await connection.close()

    assert expected == asyncio.run(work())


def test_tls_is_checked(tmp_path: Path) -> None:
    """A server's certificate of an authority that is trusted, for its name, and no other."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    network = Network({"NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")})

    async def work(by: trustme.CA, name: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert(name).configure_cert(context)
        async with server(OK, tls=context) as (port, _):
            connection = way(port, network, "https")
            try:
                return (await asked(connection))[1].decode()
            except PostFailed as failed:
                return failed.how
            finally:
                await connection.close()

    assert "ok" == asyncio.run(work(authority, "localhost"))
    assert "unreachable" == asyncio.run(work(authority, "other.example"))
    assert "unreachable" == asyncio.run(work(stranger, "localhost"))


def test_what_can_not_be_sent_is_said() -> None:
    """A field with a line's end in it goes nowhere."""

    async def work() -> str:
        async with server(OK) as (port, seen):
            with pytest.raises(PostFailed) as refused:
                await asked(way(port), ("x", "a\r\nhost: evil"))
            assert [] == seen
            return refused.value.how

    assert "unsendable" == asyncio.run(work())


@pytest.mark.parametrize(
    "address",
    [
        "http://user@localhost/",
        "http://[fe80::1%25eth0]/",
        "https://bücher.example/",
        "http://a/ b",
    ],
)
def test_odd_addresses_go_the_other_way(address: str) -> None:
    """The library that can read them has them."""
    assert not is_plain(address)


def test_a_proxy_is_not_gone_round() -> None:
    """Where one is set for an address there is no straight way; nor in the clear to elsewhere."""
    network = Network({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "near.example"})
    assert network.straight("https://model.example/v1", "The address", 5.0) is None
    assert network.straight("https://near.example/v1", "The address", 5.0) is not None
    with pytest.raises(InputError):
        network.straight("http://near.example/v1", "The address", 5.0)
