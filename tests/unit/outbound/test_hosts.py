"""How hosts may be written, and which addresses are public."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bailee.outbound.addresses import embedded, why_not_public
from bailee.outbound.hosts import NotAHost, read_authority, read_host, read_port

labels = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
v4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
v6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


@given(st.text(max_size=60) | names)
def test_what_is_taken_is_plain_and_stays(text: str) -> None:
    """Whatever is taken as a host is ASCII in small letters, without a dot at its end, and is
    taken again as the same.
    """
    try:
        host = read_host(text)
    except NotAHost:
        return
    assert host.name.isascii()
    assert host.name == host.name.lower()
    assert not host.name.endswith(".")
    assert not set(host.name) & set("@%/\\?#[] \t\r\n\0")
    assert host == read_host(host.bracketed)


@given(st.text("0123456789abcdefx.", min_size=1, max_size=24))
def test_no_name_is_an_address_to_the_resolver(text: str) -> None:
    """What is taken as a name is nothing that the system's resolver would take as an address."""
    try:
        host = read_host(text)
    except NotAHost:
        return
    if host.address is None:
        with pytest.raises(OSError):
            socket.inet_aton(host.name)
    else:
        assert socket.inet_ntoa(socket.inet_aton(host.name)) == host.name


@given(v4)
def test_an_address_is_written_in_one_way(address: ipaddress.IPv4Address) -> None:
    """Of all spellings of an IPv4 address that resolvers know, one is taken."""
    one, two, three, four = address.packed
    number = int(address)
    spellings = [
        str(number),
        hex(number),
        f"0{number:o}",
        f"{one}.{number & 0xFFFFFF}",
        f"{one}.{two}.{number & 0xFFFF}",
        f"0x{one:x}.{two}.{three}.{four}",
        f"{one:03o}.{two:03o}.{three:03o}.{four:04o}",
        f"{address}.",
        f"{one}.{two}.{three}.0x{four:x}",
        f"{address}%eth0",
        f"a@{address}",
        f" {address}",
        f"{one}。{two}。{three}。{four}",
        str(address).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    ]
    for spelling in spellings:
        if spelling != str(address):
            with pytest.raises(NotAHost):
                read_host(spelling)
    assert address == read_host(str(address)).address


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", ".a", "-a", "a-", "a" * 64, "a." * 130, "a b", "a/b", "a\\b"),
        *("a%2eb", "a%00", "a\0", "a\n", "1", "1.2", "1.2.3", "1.2.3.4.5", "256.1.1.1", "a.1"),
        *("0x7f000001", "0x", "a.0x", "01.2.3.4", "[::1", "::1", "[::1%lo]", "[::1%25lo]", "[]"),
        *(
            "[1.2.3.4]",
            "[::1].",
            "bücher.example",
            "ｅxample.org",
            "example。org",
            "exa\u00admple.org",
        ),
        *("user@host", "a,b", "*", "*.a", "http://a"),
    ],
)
def test_what_is_no_host(text: str) -> None:
    """Everything that two readers could take for two things is none."""
    with pytest.raises(NotAHost):
        read_host(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("Example.ORG.", "example.org"), ("xn--bcher-kva.example", "xn--bcher-kva.example")),
        *(("[0:0:0:0:0:0:0:1]", "::1"), ("[::FFFF:127.0.0.1]", "::ffff:7f00:1"), ("1a", "1a")),
        *(("my_host", "my_host"), ("9.example", "9.example")),
    ],
)
def test_what_is_one(text: str, name: str) -> None:
    """One way of writing comes out of those that can't be mistaken."""
    assert (
        ipaddress.ip_address(name) == read_host(text).address
        if ":" in name
        else name == (read_host(text).name)
    )


@pytest.mark.parametrize("text", ["0", "65536", "080", "+80", " 80", "8_0", "٨٠", "", "80 ", "-1"])
def test_what_is_no_port(text: str) -> None:
    """A port is digits from 1 to 65535."""
    with pytest.raises(NotAHost):
        read_port(text)


@pytest.mark.parametrize("text", ["a", "a:", ":1", "::1:80", "a:b@c:1", "a@b:1", "[::1]", "a:1:2"])
def test_what_is_no_authority(text: str) -> None:
    """Host and port, nothing before, between or behind them."""
    with pytest.raises(NotAHost):
        read_authority(text)


@given(v4 | v6)
def test_what_is_public_is_global_for_python_too(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """No address is public here that the standard library knows to be somebody's inside."""
    if why_not_public(address) is None:
        inner = embedded(address)
        assert inner.is_global
        assert not (inner.is_multicast or inner.is_reserved or inner.is_private)


@given(v4)
def test_an_address_in_an_address(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is judged the same inside of IPv6; tunnels elsewhere are never public."""
    inside = int(address)
    why = why_not_public(address)
    assert why == why_not_public(ipaddress.IPv6Address((0xFFFF << 32) | inside))
    assert why == why_not_public(ipaddress.IPv6Address((0x64FF9B << 96) | inside))
    assume(inside > 1)
    for other in (
        ipaddress.IPv6Address(inside),
        ipaddress.IPv6Address((0x2002 << 112) | (inside << 80)),
        ipaddress.IPv6Address((0x20010000 << 96) | (inside ^ 0xFFFFFFFF)),
        ipaddress.IPv6Address((0x64FF9B0001 << 88) | inside),
    ):
        assert why_not_public(other) is not None


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1"),
        *("255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.80"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1"),
        *("::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1"),
        *("::127.0.0.1", "3fff::1", "5f00::1", "4000::1"),
    ],
)
def test_what_is_not_public(text: str) -> None:
    """Addresses that lead inside, by whatever registry reserves them."""
    assert why_not_public(ipaddress.ip_address(text)) is not None


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "151.101.0.223", "2606:4700::1111", "64:ff9b::101:101"]
)
def test_what_is_public(text: str) -> None:
    """Addresses of the Internet."""
    assert why_not_public(ipaddress.ip_address(text)) is None
