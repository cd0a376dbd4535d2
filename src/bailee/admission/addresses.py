"""Whose connection it is, where reverse proxies stand before a listener. Pure.

A proxy says in a field of the request's head who connected to it. Anyone else can write the same
field, so it counts only when it comes from a proxy that the operator named (`trusted_proxies`).

Rules kept here:

* Without a trusted peer the client is the peer, whatever the head says. By default nobody is
  trusted: not this machine, either.
* Of a chain the rightmost hop that is not trusted is the client: what stands to the left of it was
  written by the client, or by whoever it came through.
* A proxy writes one of the two fields and passes the other on as the client sent it. So when both
  are there and do not agree, neither counts, and the client is counted as the proxy.
* What is no address (`unknown`, a name, an obfuscated `_x`) ends the chain: the hop that said so
  is the client.

Standards: RFC 7239; X-Forwarded-For and X-Forwarded-Proto as nginx, HAProxy and Caddy write them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Fields = Iterable[tuple[bytes, bytes]]
"""A head's fields; names in lower case."""

PROXIED: Final = "bailee.proxied"
"""In an ASGI scope: that `client` and `scheme` are a trusted proxy's word."""

_MOST_HOPS: Final = 32
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)=(?:"([^"\\]*)"|([^\s";,]*))\s*')


@dataclass(frozen=True, slots=True)
class Client:
    """`address`: that limits are counted by, "" where the peer has none (a Unix socket); `secure`:
    the client's own connection was TLS; `proxied`: it came through a trusted proxy.
    """

    address: str
    secure: bool
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks whose word about clients counts. A listener asks it of each connection and
    request, on its event loop's thread; it is never changed.
    """

    networks: tuple[Network, ...] = ()

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        if not self.networks:
            return False
        parsed = _address(address)
        return parsed is not None and self._holds(parsed)

    def client(self, peer: str, fields: Fields, *, secure: bool) -> Client:
        """Whose request it is. `peer`: the socket's other end; `secure`: its connection is TLS."""
        if not self.trusts(peer):
            return Client(peer, secure)
        listed: list[bytes] = []
        said: list[bytes] = []
        proto = b""
        for name, value in fields:
            if name == b"x-forwarded-for":
                listed.append(value)
            elif name == b"forwarded":
                said.append(value)
            elif name == b"x-forwarded-proto":
                proto = value
        plain = _listed(b",".join(listed))
        hops, scheme = _forwarded(b",".join(said))
        found = {self._client(peer, chain) for chain in (plain, hops) if chain}
        schemes = {one for one in (_scheme(proto), scheme) if one}
        address = found.pop() if len(found) == 1 else peer
        return Client(address, schemes == {"https"} if schemes else secure, proxied=True)

    def _client(self, peer: str, chain: Sequence[str]) -> str:
        """The rightmost hop of a chain that is not trusted; the leftmost, when all are."""
        last = peer
        for hop in reversed(chain[-_MOST_HOPS:]):
            parsed = _address(hop)
            if parsed is None:
                break
            last = str(parsed)
            if not self._holds(parsed):
                break
        return last

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def trusted_proxies(text: str | None) -> TrustedProxies:
    """The setting: networks or addresses with commas between; nothing or `none` trusts nobody.

    Raises:
        InputError: code `configuration`.
    """
    names = [one.strip() for one in (text or "none").split(",")]
    if names == ["none"]:
        return TrustedProxies()
    found: list[Network] = []
    for name in names:
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError:
            raise InputError(
                f"trusted_proxies: {name[:60]!r} is not a network.",
                code="configuration",
                hint="write addresses or networks with commas between, like 127.0.0.1, 10.1.0.0/16",
            ) from None
    return TrustedProxies(tuple(found))


def _listed(value: bytes) -> list[str]:
    text = value.decode("latin-1").strip()
    return [one.strip() for one in text.split(",")] if text else []


def _forwarded(value: bytes) -> tuple[list[str], str]:
    """The hops that `Forwarded` names, and the scheme that the last one saw. A hop that can't be
    read is there as "": it ends the chain.
    """
    text = value.decode("latin-1").strip()
    hops: list[str] = []
    scheme = ""
    for element in text.split(",") if text else ():
        pairs: dict[str, str] = {}
        for part in element.split(";"):
            found = _PAIR.fullmatch(part)
            if found is None:
                pairs = {}
                break
            pairs[found[1].lower()] = found[2] if found[2] is not None else found[3]
        hops.append(pairs.get("for", ""))
        scheme = pairs.get("proto", "").lower()
    return hops, scheme


def _scheme(value: bytes) -> str:
    """The last scheme of `X-Forwarded-Proto`: that of the hop before the trusted proxy."""
    return value.decode("latin-1").rpartition(",")[2].strip().lower()


def _address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.

    An IPv4 address that is mapped into IPv6 is that IPv4 address.
    """
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
