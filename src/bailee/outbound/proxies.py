"""Which proxy is on the way to an address, read from the usual variables. Pure.

Rules kept here:

* `HTTPS_PROXY`, `HTTP_PROXY` and, for both, `ALL_PROXY`; `NO_PROXY` excepts. Small letters count
  first. This machine is never reached by a proxy, nor is where machines keep credentials.
* A proxy's address has no path: all that stands before its last `@` is user and password, so a
  password may hold `#`, `/`, `?` and `@` as they are, or as `%40`.
* An entry of `NO_PROXY` is `*`, a name (with or without `.` or `*.` before it, it and all below
  it), an address or a network; after each may come `:port` (an IPv6 address then stands in
  brackets). A dot at the end, large letters and names beyond ASCII are understood as the same.
* What is no HTTP proxy is an error: going straight where a proxy was meant would be a way round it.

No standard says what these variables mean; this takes in what curl, Go and Python take.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from bailee.errors import InputError
from bailee.loopback import is_loopback
from bailee.outbound.addresses import embedded, keeps_credentials
from bailee.outbound.hosts import NotAHost, read_authority
from bailee.records import dataclass

_PORTS: Final = {"http": 80, "https": 443}
_NAMES: Final = frozenset(
    {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"}
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, spoken to under TLS or not. `user` is None where it asks for none."""

    host: str
    port: int
    tls: bool = False
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Its address, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address with user and password, for a library that takes no other."""
        if self.user is None:
            return self.address
        scheme, _, place = self.address.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{place}"

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The field of a request's head that tells it who asks (RFC 7617); none where none is."""
        if self.user is None:
            return []
        pair = base64.b64encode(f"{self.user}:{self.password}".encode())
        return [(b"proxy-authorization", b"Basic " + pair)]


def proxy_for(
    address: str, variables: Mapping[str, str], called: Mapping[str, str] = MappingProxyType({})
) -> Proxy | None:
    """The proxy on the way to an address; None: straight there. `called`: what an error calls a
    variable, where that is not its name.

    Raises:
        InputError: code `configuration`; what is named is no proxy.
    """
    if not _NAMES.intersection(variables):
        return None
    parts = urlsplit(address)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 80)
    if is_loopback(host) or keeps_credentials(host):
        return None
    if excepted(variables.get("no_proxy") or variables.get("NO_PROXY") or "", host, port):
        return None
    for name in ("HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY", "ALL_PROXY"):
        if found := variables.get(name.lower()) or variables.get(name):
            return read_proxy(found, called.get(name, name))
    return None


def read_proxy(text: str, name: str) -> Proxy:
    """The proxy whose address is `text`, without a scheme that of plain HTTP.

    Raises:
        InputError: code `configuration`; it is none. Names `name`, and nothing of the text.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found:
        scheme, rest = "http", text.strip()
    login, at, place = rest.rpartition("@")
    user, _, password = login.partition(":")
    try:
        default = _PORTS[scheme.lower()]
        host, port = read_authority(_ascii(place.removesuffix("/")), default)
    except (KeyError, NotAHost):
        raise InputError(
            f"{name} is not the address of an HTTP proxy.",
            code="configuration",
            hint="like http://user:password@proxy.example:3128",
        ) from None
    known = unquote(user) if at else None
    return Proxy(host.name, port, scheme.lower() == "https", known, unquote(password))


def excepted(no_proxy: str, host: str, port: int) -> bool:
    """Whether a value of `NO_PROXY` excepts a host at a port."""
    name = _ascii(host.strip("[]")).removesuffix(".")
    return any(_meets(entry, name, port) for entry in no_proxy.replace(",", " ").split())


def _meets(entry: str, host: str, port: int) -> bool:
    place, colon, wanted = entry.rpartition(":")
    if not colon or "]" in wanted or (":" in place and not place.endswith("]")):
        place, wanted = entry, "*"
    if wanted not in ("*", str(port)):
        return False
    if place == "*":
        return True
    bare = place.replace("[", "").replace("]", "").removesuffix(".")
    name = _ascii(bare.removeprefix("*").removeprefix("."))
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address in network or embedded(address) in network


def _ascii(text: str) -> str:
    """In small letters, and a name beyond ASCII as it is looked up (RFC 3490)."""
    try:
        return text.lower() if text.isascii() else text.encode("idna").decode().lower()
    except UnicodeError:
        return text.lower()
