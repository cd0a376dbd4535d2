"""Which addresses are public: reachable on the Internet, and nobody's inside. Pure.

The one place that says so. Whether a host is this very machine is said in `bailee.loopback`; no
other module has a range or asks Python's `is_global` and the like (a test holds it to that).

Rules kept here:

* IPv4: everything but what the table below lists.
* IPv6: only the global unicast space 2000::/3, without what the table lists.
* An address that carries an IPv4 address in it is judged by that one: IPv4-mapped, and NAT64's
  well-known prefix. Tunnels that would lead elsewhere (6to4, Teredo) and NAT64's local prefix are
  never public. NAT64 prefixes that a network made of its own public space (RFC 6052, 2.2) can't be
  known.
* Services of a cloud's own machines count as inside, also where they lie in public space.

Sources: IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates) for what is
not globally reachable there; RFC 3879 (site-local), RFC 7526 (6to4 relays), RFC 8215 (local NAT64);
the clouds' own documents for their metadata services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC: Final[tuple[tuple[Subnet, str], ...]] = tuple(
    (ipaddress.ip_network(subnet), why)
    for subnet, why in (
        ("0.0.0.0/8", "this network"),  # RFC 791
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "carrier-grade NAT"),  # RFC 6598; Alibaba's metadata, 100.100.100.200
        ("127.0.0.0/8", "loopback"),  # RFC 1122
        ("168.63.129.16/32", "a cloud's own service"),  # Azure's, in public space
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),  # RFC 3927
        ("172.16.0.0/12", "private"),  # RFC 1918
        ("192.0.0.0/24", "protocol assignments"),  # RFC 6890; Oracle's metadata, 192.0.0.192
        ("192.0.2.0/24", "documentation"),  # RFC 5737
        ("192.88.99.0/24", "6to4 relays"),  # RFC 7526
        ("192.168.0.0/16", "private"),  # RFC 1918
        ("198.18.0.0/15", "benchmarks"),  # RFC 2544
        ("198.51.100.0/24", "documentation"),  # RFC 5737
        ("203.0.113.0/24", "documentation"),  # RFC 5737
        ("224.0.0.0/4", "multicast"),  # RFC 5771
        ("240.0.0.0/4", "reserved or broadcast"),  # RFC 1112, RFC 8190
        ("::/128", "unspecified"),  # RFC 4291
        ("::1/128", "loopback"),  # RFC 4291
        ("fc00::/7", "private"),  # RFC 4193; AWS's metadata, fd00:ec2::254, and Google's
        ("fe80::/10", "link-local"),  # RFC 4291
        ("fec0::/10", "site-local"),  # RFC 3879
        ("ff00::/8", "multicast"),  # RFC 4291
        ("64:ff9b:1::/48", "local NAT64"),  # RFC 8215
        ("2001::/23", "protocol assignments and Teredo"),  # RFC 2928, RFC 4380
        ("2001:db8::/32", "documentation"),  # RFC 3849
        ("2002::/16", "6to4"),  # RFC 3056
        ("3fff::/20", "documentation"),  # RFC 9637
    )
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA: Final = frozenset({"metadata.google.internal", "metadata.goog"})


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, else the address itself.

    >>> embedded(ipaddress.ip_address("::ffff:127.0.0.1"))
    IPv4Address('127.0.0.1')
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@lru_cache(1024)
def why_not_public(address: Address) -> str | None:
    """Why an address is not public, in a word or two; None if it is.

    >>> why_not_public(ipaddress.ip_address("10.0.0.1"))
    'private'
    """
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "an address with a zone"
    address = embedded(address)
    for subnet, why in _NOT_PUBLIC:
        if address.version == subnet.version and address in subnet:
            return why
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return "outside global unicast"
    return None


def is_internal(address: Address) -> bool:
    """Whether an address is of this machine or of a network that has its own numbers: what clients
    that sign in at a company's gateway want its address to be.

    >>> is_internal(ipaddress.ip_address("100.64.0.1"))
    True
    """
    why = why_not_public(address) or ""
    return why in ("private", "carrier-grade NAT", "loopback") or why.startswith("link-local")


def within(address: Address, subnets: Sequence[Subnet]) -> bool:
    """Whether an address is in one of some networks."""
    return any(address.version == one.version and address in one for one in subnets)


def keeps_credentials(host: str) -> bool:
    """Whether a host, by its very name or number, is where machines keep credentials: link-local,
    or Google's metadata by name. Nothing is looked up.
    """
    try:
        return embedded(ipaddress.ip_address(host.strip("[]"))).is_link_local
    except ValueError:
        return host.lower().rstrip(".") in _METADATA
