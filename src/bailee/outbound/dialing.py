"""From a host to a connection: resolve once, check every address, connect to one that was checked.

Rules kept here:

* A name is resolved once for each connection, and the connection goes to an address of that very
  answer: a name that changes its mind in between changes nothing.
* One address that is not public refuses the whole answer. A name that has a public and a private
  address is somebody's attempt, or somebody's split horizon; neither is for guessing.
* What may be reached although it is not public is a list of networks that the operator sets.
* Where a company's proxy is on the way, it looks names up; what looks not public from here is
  refused all the same, and what the operator has set is reached straight.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final, TypeVar

from bailee.outbound.addresses import Address, Subnet, embedded, why_not_public, within
from bailee.outbound.forward_proxy import tunnel_by_proxy
from bailee.outbound.hosts import Host
from bailee.outbound.http1 import LONGEST_HEAD
from bailee.outbound.network import Network
from bailee.outbound.proxies import Proxy
from bailee.outbound.streams import Ends, open_connection

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""All addresses of a name (and port), in the order to try; empty or `OSError` when it has none."""

_MOST_ADDRESSES: Final = 64
_TRIES: Final = 4
_BUFFER: Final = 256 * 1024
T = TypeVar("T")


class AddressRefused(Exception):
    """An address may not be connected to. `rule` is what the audit names."""

    def __init__(self, rule: str, reason: str, address: Address) -> None:
        super().__init__(reason)
        self.rule: Final = rule
        self.reason: Final = reason
        self.address: Final = address


class Unreachable(Exception):
    """The name has no address, or none of its addresses took the connection in time."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule: Final = rule
        self.reason: Final = reason


# Threads of their own: names that are slow to resolve must not hold up what else uses threads.
_RESOLVING: Final = ThreadPoolExecutor(32, thread_name_prefix="resolving")


async def system_resolver(name: str, port: int) -> Sequence[Address]:
    """As the machine resolves names."""
    look_up = partial(
        socket.getaddrinfo, name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, look_up)
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


async def through(
    network: Network, proxy: Proxy, authority: str | None, *, limit: int = LONGEST_HEAD
) -> Ends:
    """A stream to a proxy; with `authority`, by a tunnel to that `host:port`. `limit` is that of
    the reader, and bounds the head of the proxy's answer.

    Raises:
        OSError: it can't be reached, or refused.
        InputError: code `configuration`; the network's certificates can't be used.
    """
    reader, writer = await open_connection(
        proxy.host, proxy.port, tls=network.tls() if proxy.tls else None, limit=limit
    )
    if authority is not None:
        try:
            await tunnel_by_proxy(reader, writer, authority, proxy)
        except BaseException:
            writer.close()
            raise
    return reader, writer


@dataclass(frozen=True, slots=True)
class Dialer:
    """Connects to hosts. Whoever lets others' programs out, or connects for them, has one, and
    awaits it in any loop; names are looked up on threads of this module. It keeps no connection.

    `private`: networks that may be reached although they are not public; the operator's alone to
    set. `denied`: networks that may not be reached although they are public. `seconds`: how long
    resolving and connecting may take together. `network`: says what proxy is on the way.
    """

    resolve: Resolver = system_resolver
    private: Sequence[Subnet] = ()
    denied: Sequence[Subnet] = ()
    seconds: float = 15.0
    network: Network = field(default_factory=Network)

    async def addresses(self, host: Host, port: int) -> Sequence[Address]:
        """The addresses of a host, all of them checked.

        Raises:
            AddressRefused: one of them may not be connected to.
            Unreachable: it has none.
        """
        if host.address is not None:
            found: Sequence[Address] = [host.address]
        else:
            try:
                found = await self.resolve(host.name, port)
            except (OSError, UnicodeError):
                found = []
        if not found:
            raise Unreachable("dns.none", "the name has no address")
        for address in found[:_MOST_ADDRESSES]:
            self.check(address)
        return found[:_MOST_ADDRESSES]

    def check(self, address: Address) -> None:
        """Whether an address may be connected to.

        Raises:
            AddressRefused: it may not.
        """
        if self.denied and (within(embedded(address), self.denied) or within(address, self.denied)):
            raise AddressRefused(
                "address.denied", "its address is on the list of denied networks", embedded(address)
            )
        why = why_not_public(address)
        if why is not None and not self.permits(address):
            reason = f"its address is not public ({why})"
            raise AddressRefused("address.not_public", reason, embedded(address))

    def permits(self, address: Address) -> bool:
        """Whether an address is in one of the networks of `private`."""
        return within(embedded(address), self.private)

    def proxy(self, host: Host, port: int, *, tunnel: bool = True) -> Proxy | None:
        """The proxy on the way to a host; by a tunnel, or for plain requests.

        Raises:
            InputError: code `configuration`; what is named is no proxy.
        """
        scheme = "https" if tunnel else "http"
        return self.network.proxy(f"{scheme}://{host.bracketed}:{port}")

    async def connect(
        self, host: Host, port: int, tls: ssl.SSLContext | None = None, *, tunnel: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address | None]:
        """A connection to a host, and the address it goes to; None: by a proxy. Without `tunnel`,
        such a one is to the proxy itself, for plain requests.

        Raises:
            AddressRefused: one of its addresses may not be connected to.
            Unreachable: it has no address, or no connection was to be had.
            InputError: code `configuration`; the network's settings can't be.
        """
        proxy = self.proxy(host, port, tunnel=tunnel)
        try:
            async with asyncio.timeout(self.seconds):
                if proxy is None or await self._ours(host, port):
                    return await self._straight(host, port, tls)
                try:
                    authority = f"{host.bracketed}:{port}" if tunnel else None
                    reader, writer = await through(self.network, proxy, authority, limit=_BUFFER)
                    if tls is not None:
                        await writer.start_tls(tls, server_hostname=host.name)
                except ssl.SSLError as error:
                    raise Unreachable("connect.tls", "TLS failed there") from error
                except OSError:
                    raise Unreachable("connect.proxy", "the proxy did not connect to it") from None
                return reader, writer, None
        except TimeoutError:
            raise _late() from None

    async def _ours(self, host: Host, port: int) -> bool:
        """Whether a host is in the networks that are not public and may be reached. A name that is
        not known here, or not soon, is for the proxy to know.
        """
        try:
            async with asyncio.timeout(self.seconds / _TRIES):
                found = await self.addresses(host, port)
        except (TimeoutError, Unreachable):
            return False
        return all(self.permits(address) for address in found)

    async def open(
        self, host: Host, port: int, made: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, Address] | None:
        """A connection of the protocol that `made` makes, and the address it goes to; None: a proxy
        is on the way (`connect`). Whoever asks ends it after `seconds`.

        Raises:
            AddressRefused: one of its addresses may not be connected to.
            Unreachable: it has no address, or no connection was to be had.
            InputError: code `configuration`; the network's settings can't be.
        """
        if self.proxy(host, port) is not None:
            return None
        loop = asyncio.get_running_loop()
        found = await self.addresses(host, port)

        async def one(address: Address) -> tuple[asyncio.Transport, Address]:
            transport, _ = await loop.create_connection(made, written(address), port)
            return transport, address

        return await self._first(found, one)

    async def _straight(
        self, host: Host, port: int, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address]:
        async def one(
            address: Address,
        ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address]:
            name = host.name if tls else None
            ends = await open_connection(str(address), port, tls=tls, name=name, limit=_BUFFER)
            return *ends, address

        return await self._first(await self.addresses(host, port), one)

    async def _first(
        self, addresses: Sequence[Address], connect: Callable[[Address], Awaitable[T]]
    ) -> T:
        """What `connect` makes of the first address that takes a connection."""
        tried = addresses[:_TRIES]
        for number, address in enumerate(tried):
            try:
                if number == len(tried) - 1:
                    return await connect(address)
                # An address that swallows everything leaves time for the next.
                async with asyncio.timeout(self.seconds / _TRIES):
                    return await connect(address)
            except ssl.SSLError as error:
                raise Unreachable("connect.tls", "TLS failed there") from error
            except OSError:  # a time-out is one
                continue
        raise Unreachable("connect.failed", "it took no connection")


@lru_cache(1024)
def written(address: Address) -> str:
    """An address in its one way of writing."""
    return str(address)


def _late() -> Unreachable:
    return Unreachable("connect.timeout", "no connection was to be had in time")
