"""From a host to a connection where a company's proxy is on the way: a real squid."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterator, Sequence

import pytest
import trustme

from bailee.outbound.addresses import Address
from bailee.outbound.dialing import AddressRefused, Dialer, Unreachable
from bailee.outbound.hosts import read_host
from bailee.outbound.network import Network
from support.servers.corporate_network import Receiver, Squid, receiver, squid_with_password

pytestmark = pytest.mark.row("D2", "C2")

HOST = read_host("bailee.example")
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signed the server's certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def site(authority: trustme.CA) -> Iterator[Receiver]:
    """A server under TLS, whose name the proxy alone knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bailee.example").configure_cert(context)
    with receiver(context) as made:
        yield made


@pytest.fixture(scope="module")
def proxy() -> Iterator[Squid]:
    """The company's."""
    with squid_with_password("ann", "pe#ars") as made:
        yield made


def dialer(proxy: Squid, addresses: Sequence[str], password: str = "pe#ars") -> Dialer:
    """One whose resolver has these addresses for any name."""

    async def resolve(_name: str, _port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(one) for one in addresses]

    address = f"http://ann:{password}@127.0.0.1:{proxy.port}"
    variables = {"HTTPS_PROXY": address, "HTTP_PROXY": address}
    return Dialer(resolve, private=LOOPBACK, seconds=20, network=Network(variables))


def asked(dialer: Dialer, port: int, tls: ssl.SSLContext | None) -> tuple[bytes, Address | None]:
    """The status line of a request, and the address that the connection went to."""

    async def ask() -> tuple[bytes, Address | None]:
        reader, writer, address = await dialer.connect(HOST, port, tls)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return line, address

    return asyncio.run(ask())


@pytest.mark.parametrize("addresses", [[], ["8.8.8.8"]])
def test_the_proxy_is_the_way_to_what_is_public_or_not_known_here(
    proxy: Squid, site: Receiver, authority: trustme.CA, addresses: list[str]
) -> None:
    """By a tunnel, with its password; TLS inside is checked for the host's name."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    line, address = asked(dialer(proxy, addresses), site.port, trust)
    assert line.startswith(b"HTTP/1.1 200")
    assert address is None
    with pytest.raises(Unreachable, match="TLS"):
        asked(dialer(proxy, addresses), site.port, ssl.create_default_context())
    with pytest.raises(Unreachable, match="proxy"):
        asked(dialer(proxy, addresses, "plums"), site.port, trust)


def test_what_is_not_public_from_here_is_refused_all_the_same(proxy: Squid, site: Receiver) -> None:
    """A proxy opens no way inside; not even where only one of the addresses is private."""
    for addresses in (["10.0.0.1"], ["8.8.8.8", "169.254.169.254"]):
        with pytest.raises(AddressRefused):
            asked(dialer(proxy, addresses), site.port, None)


def test_what_the_operator_has_set_is_reached_straight(
    proxy: Squid, site: Receiver, authority: trustme.CA
) -> None:
    """A network of the operator's own is no proxy's to reach."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    _, address = asked(dialer(proxy, ["127.0.0.1"], "plums"), site.port, trust)
    assert ipaddress.ip_address("127.0.0.1") == address
