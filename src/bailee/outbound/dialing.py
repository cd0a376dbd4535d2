"""From a host to a connection: resolve once, check every address, connect to one that was checked.

Rules kept here:

* A name is resolved once for each connection, and the connection goes to an address of that very
  answer: a name that changes its mind in between changes nothing.
* One address that is not public refuses the whole answer. A name that has a public and a private
  address is somebody's attempt, or somebody's split horizon; neither is for guessing.
* What may be reached although it is not public is a list of networks that the operator sets.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from bailee.outbound.addresses import Address, Subnet, embedded, why_not_public, within
from bailee.outbound.hosts import Host

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""All addresses of a name (and port), in the order to try; empty or `OSError` when it has none."""

_MOST_ADDRESSES: Final = 64
_TRIES: Final = 4
_BUFFER: Final = 256 * 1024


class Refused(Exception):
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


@dataclass(frozen=True, slots=True)
class Dialer:
    """Connects to hosts.

    `private`: networks that may be reached although they are not public; the operator's alone to
    set. `denied`: networks that may not be reached although they are public. `seconds`: how long
    resolving and connecting may take together.
    """

    resolve: Resolver = system_resolver
    private: Sequence[Subnet] = ()
    denied: Sequence[Subnet] = ()
    seconds: float = 15.0

    async def addresses(self, host: Host, port: int) -> Sequence[Address]:
        """The addresses of a host, all of them checked.

        Raises:
            Refused: one of them may not be connected to.
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
            Refused: it may not.
        """
        inner = embedded(address)
        if within(inner, self.denied) or within(address, self.denied):
            raise Refused("address.denied", "its address is on the list of denied networks", inner)
        why = why_not_public(address)
        if why is not None and not self.permits(address):
            raise Refused("address.not_public", f"its address is not public ({why})", inner)

    def permits(self, address: Address) -> bool:
        """Whether an address is in one of the networks of `private`."""
        return within(embedded(address), self.private)

    async def connect(
        self, host: Host, port: int, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address]:
        """A connection to a host, and the address it goes to.

        Raises:
            Refused: one of its addresses may not be connected to.
            Unreachable: it has no address, or no connection was to be had.
        """
        try:
            async with asyncio.timeout(self.seconds):
                found = await self.addresses(host, port)
                tried = found[:_TRIES]
                for number, address in enumerate(tried):
                    last = number == len(tried) - 1
                    try:
                        # An address that swallows everything leaves time for the next.
                        async with asyncio.timeout(None if last else self.seconds / _TRIES):
                            reader, writer = await asyncio.open_connection(
                                str(address),
                                port,
                                ssl=tls,
                                server_hostname=host.name if tls else None,
                                limit=_BUFFER,
                            )
                    except ssl.SSLError as error:
                        raise Unreachable("connect.tls", "TLS failed there") from error
                    except OSError:  # a time-out is one
                        continue
                    return reader, writer, address
        except TimeoutError:
            raise Unreachable("connect.timeout", "no connection was to be had in time") from None
        raise Unreachable("connect.failed", "it took no connection")
