"""How many connections a listener has, in all and from one address, and which has to make room.

Pure: it counts and says who; the listener closes.

Rules kept here:

* At most `total` connections are counted, and at most `by_address` of one address. This machine's
  own address, which a reverse proxy and everybody behind it share, may have `by_loopback`, less
  than all. Addresses of trusted proxies are held to `total` alone.
* A connection *waits* from when it was opened, and again from the end of each request, until a
  request with a good credential is under way on it. Half-open heads, TLS handshakes, idle
  connections and bodies of strangers wait.
* When there is no room, the one that has waited longest is closed for the new one: of the same
  address when that address is over its share, otherwise of all. One that does not wait is never
  closed; when none waits, the new one is turned away.
* An IPv6 address counts by its /64, since who has one has all of it; a mapped IPv4 address as IPv4.

What is bounded is the number of connections, and with it their descriptors and buffers; not how
fast they come, and not what is done with a request.

Rows: G1.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, TypeVar

from bailee.loopback import is_loopback

Connection = TypeVar("Connection", bound=Hashable)

LOCAL: Final = "this machine"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a listener may have. At least 1 each."""

    total: int
    by_address: int
    by_loopback: int

    @classmethod
    def of(cls, total: int, by_address: int) -> ConnectionLimits:
        """Limits whose address of this machine may have three quarters, so that it never has all.

        `by_address` is cut to that too.
        """
        most = max(1, total * 3 // 4)
        return cls(total, min(by_address, most), most)


@lru_cache(4096)
def address_group(address: str) -> str:
    """What an address is counted as. An empty one is a Unix socket's: this machine."""
    if not address or is_loopback(address):
        return LOCAL
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            mapped = parsed.ipv4_mapped
            return LOCAL if is_loopback(str(mapped)) else str(mapped)
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


class _Group(Generic[Connection]):
    """The connections of one address. `waiting` is in the order in which they began to wait."""

    __slots__ = ("count", "most", "name", "waiting")

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.count = 0
        self.waiting: dict[Connection, None] = {}


class Connections(Generic[Connection]):
    """The connections of one listener. All methods are called on its event loop's thread; each is
    a few look-ups.

    `trusted` says whether an address is a trusted proxy's.
    """

    def __init__(
        self, limits: ConnectionLimits, *, trusted: Callable[[str], bool] = lambda _address: False
    ) -> None:
        self.limits = limits
        self._trusted = trusted
        self._waiting: dict[Connection, None] = {}
        self._group_of: dict[Connection, _Group[Connection]] = {}
        self._groups: dict[str, _Group[Connection]] = {}

    def __len__(self) -> int:
        """How many are counted."""
        return len(self._group_of)

    @property
    def waiting(self) -> int:
        """How many of them wait."""
        return len(self._waiting)

    def opened(self, connection: Connection, address: str) -> Connection | None:
        """Counts a new connection, which waits. Gives the one to close at once: one that waited
        longest and is not counted any more, or `connection` itself, which then is not counted;
        None when there is room.
        """
        group = self._group(address)
        give_up: Connection | None = None
        if group.count >= group.most:
            give_up = next(iter(group.waiting), connection)
        elif len(self._group_of) >= self.limits.total:
            give_up = next(iter(self._waiting), connection)
        if give_up is connection:
            self._forget_empty(group)
            return connection
        if give_up is not None:
            self.closed(give_up)
            self._groups.setdefault(group.name, group)
        group.count += 1
        self._group_of[connection] = group
        self._waiting[connection] = group.waiting[connection] = None
        return give_up

    def admitted(self, connection: Connection) -> None:
        """A request with a good credential is under way: the connection stays."""
        group = self._group_of.get(connection)
        if group is not None:
            self._waiting.pop(connection, None)
            group.waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Its request is over."""
        group = self._group_of.get(connection)
        if group is not None and connection not in group.waiting:
            self._waiting[connection] = group.waiting[connection] = None

    def closed(self, connection: Connection) -> None:
        """It is there no more. Without effect when it is not counted."""
        group = self._group_of.pop(connection, None)
        if group is not None:
            self._waiting.pop(connection, None)
            group.waiting.pop(connection, None)
            group.count -= 1
            self._forget_empty(group)

    def give_up_one(self) -> Connection | None:
        """The one that has waited longest, to close and not counted any more; None when none waits.
        For a listener that runs out of something else than its number.
        """
        give_up = next(iter(self._waiting), None)
        if give_up is not None:
            self.closed(give_up)
        return give_up

    def _group(self, address: str) -> _Group[Connection]:
        trusted = self._trusted(address)
        name = f"proxy {address}" if trusted else address_group(address)
        group = self._groups.get(name)
        if group is None:
            limits = self.limits
            most = limits.by_loopback if name == LOCAL else limits.by_address
            group = self._groups[name] = _Group(name, limits.total if trusted else most)
        return group

    def _forget_empty(self, group: _Group[Connection]) -> None:
        if not group.count:
            self._groups.pop(group.name, None)
