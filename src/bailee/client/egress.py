"""Which hosts a program contacts: a proxy on loopback that it is made to use, and a look at the
connections that go round it.

Rules kept here:

* Every host that was asked for is in the report, also when it could not be reached or was refused.
* Nothing is opened: TLS passes through. The report has hosts, counts and bytes, never an address's
  path or what was said.
* A program that does not use the proxy is looked at through the kernel (`/proc`, Linux): its open
  connections are sampled, so a very short one can be missed. The report says which were seen so.
* With `only_promised`, what the switches do not promise is refused with 403; and what goes through
  a tunnel must be for the host that was asked for, this machine's own excepted.
* Without it everything passes; a server that TLS names inside a tunnel to another is in the report
  too. A plain request whose Host is another than its address is refused in any case.
* Hosts that are `refused` are so in any case, and whatever ends in their names.
* Behind a company's proxy, the way out is that proxy.
* Who passes shows a secret that is in the program's environment alone: other people on this machine
  can't go out by it, on the person's credential at the company's proxy.

The engine is `outbound.forwarding`'s, the same that a cloud session has.

Rows: S7, D2.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from bailee.client.open_connections import OpenConnections
from bailee.loopback import is_loopback
from bailee.outbound.addresses import Address
from bailee.outbound.dialing import Dialer
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.proxy import ForwardProxy
from bailee.outbound.forwarding.records import ConnectionOutcome, EgressRecord
from bailee.outbound.forwarding.rules import EgressVerdict
from bailee.outbound.hosts import Host, NotAHost, read_host
from bailee.outbound.network import Network

_SECONDS: Final = 20.0
_MOST: Final = 1024  # connections at the same time
_EVERY: Final = 0.05


@dataclass(slots=True)
class Contact:
    """What was seen of one host. `sent`, `received`: bytes; None where it went round the proxy."""

    host: str
    promised: bool
    count: int = 0
    sent: int = 0
    received: int = 0
    refused: int = 0
    unreached: int = 0
    round_proxy: bool = False

    def as_json(self) -> dict[str, object]:
        """For a report."""
        return {
            "host": self.host,
            "promised": self.promised,
            "connections": self.count,
            "sent": None if self.round_proxy else self.sent,
            "received": None if self.round_proxy else self.received,
            "refused": self.refused,
            "unreached": self.unreached,
            "round_proxy": self.round_proxy,
        }


@dataclass
class EgressWatch:
    """Watches while it is entered. `promised`: `host:port` that may be contacted; loopback always
    may. `address` is the proxy's.
    """

    promised: frozenset[str]
    network: Network = field(default_factory=Network)
    only_promised: bool = False
    refused: frozenset[str] = frozenset()
    contacts: dict[str, Contact] = field(default_factory=dict)
    port: int = 0
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def address(self) -> str:
        """The proxy's address, with the word that lets one pass."""
        return f"http://bailee:{self.secret}@127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a program through the proxy, loopback too."""
        names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
        led = {n: self.address for name in names for n in (name, name.lower())}
        return {**led, "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1"}

    @property
    def for_tls_alone(self) -> dict[str, str]:
        """The variables that lead what goes out under TLS through it, and nothing else."""
        return dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.address)

    @property
    def broken(self) -> list[Contact]:
        """What was contacted without being promised."""
        return [one for one in self.contacts.values() if not one.promised]

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @contextlib.contextmanager
    def looking_at(self, process: int) -> Iterator[None]:
        """Sample the connections of a process and its children meanwhile."""
        ended = threading.Event()

        def look() -> None:
            opened = OpenConnections(process)
            while not ended.wait(_EVERY):
                for host, port in opened.look():
                    if port != self.port or not is_loopback(host):
                        self._seen(f"{host}:{port}")

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            ended.set()
            looking.join()

    def _seen(self, host: str) -> None:
        contact = self._contact(f"{host}")
        if contact.count == 0:
            contact.round_proxy = True

    def _contact(self, host: str) -> Contact:
        contact = self.contacts.get(host)
        if contact is None:
            name = host.rpartition(":")[0]
            contact = Contact(host, host in self.promised or is_loopback(name))
            self.contacts[host] = contact
        return contact

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        pair = base64.b64encode(f"bailee:{self.secret}".encode())
        proxy = ForwardProxy(
            _WatchRules(self),
            record=self._note,
            dialer=_AnyDialer(seconds=_SECONDS, network=self.network),
            budgets=Budgets.of_a_person(_MOST),
            violations=1 << 62,
            login=b"Basic " + pair,
        )
        server = await self._loop.create_server(proxy.connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await proxy.close()

    def _note(self, one: EgressRecord) -> None:
        """A connection has come to its end."""
        if not one.host:
            return  # it asked for none, or was a stranger's
        contact = self._contact(_place(one.host, one.port))
        contact.count += 1
        contact.round_proxy = False
        contact.sent += one.sent
        contact.received += one.received
        contact.refused += one.outcome in (ConnectionOutcome.REFUSED, ConnectionOutcome.CUT)
        contact.unreached += one.outcome is ConnectionOutcome.FAILED


@dataclass(frozen=True)
class _WatchRules:
    """What a watched program may do: all, or with `only_promised` what was promised."""

    watch: EgressWatch

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """See `ForwardRules`."""
        contact = self.watch._contact(_place(host.name, port))
        if any(host.name.endswith(name) for name in self.watch.refused):
            return EgressVerdict(False, "watch.refused", "what holds here does not let it out")
        if self.watch.only_promised and not contact.promised:
            return EgressVerdict(False, "watch.promised", "it is not promised")
        return EgressVerdict(True, "watch", "it is looked at alone")

    def unnamed(self, host: Host) -> bool:
        """TLS can't name an address, so to one it needs no name."""
        return host.address is not None

    def strict(self, host: Host) -> bool:
        """What was promised of a host is no promise for another behind it."""
        return self.watch.only_promised and not is_loopback(host.name)

    def named(self, host: Host, port: int, name: str) -> None:  # noqa: ARG002
        """TLS named another server than the tunnel: it was contacted too."""
        with contextlib.suppress(NotAHost):
            self.watch._contact(_place(read_host(name).name, port)).count += 1


@dataclass(frozen=True, slots=True)
class _AnyDialer(Dialer):
    """Connects to any address: the program that is watched could do so itself."""

    def check(self, address: Address) -> None:
        """Every address may be."""

    async def _ours(self, host: Host, port: int) -> bool:  # noqa: ARG002
        return False


def _place(host: str, port: int) -> str:
    return f"{host}:{port}"
