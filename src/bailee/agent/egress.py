"""The one way out of the sandbox: a proxy to the hosts that the settings allow.

It listens on a socket in a folder of its own, which is bound into the sandbox; inside, `relay`
offers it on loopback, where programs look for a proxy. The sandbox has no other network.

Rules kept here:

* A name is looked at before it is looked up, and is allowed by its very name or by `*.` and what
  follows. Only ports 80 and 443.
* Each address that a name stands for must be a public one, and the one that was looked at is
  connected to: this machine, the local network and clouds' metadata are out of reach, loopback too.
* TLS passes through unopened, once it has named the host that was asked for; a plain request is
  written anew, and its Host is where it goes: no allowed name leads to another's site on the same
  machines. Behind a company's proxy, the way out is that proxy.
* What is refused is refused with a sentence that says why; it is counted, by host.
* The socket's folder is this user's alone, and the relay's loopback the sandbox's alone: no other
  program can go out here.

The engine is `outbound.forwarding`'s, the same that a cloud session has.

Rows: D2, S7.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Final

from bailee.outbound.dialing import Dialer
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.proxy import ForwardProxy
from bailee.outbound.forwarding.records import ConnectionOutcome, EgressRecord
from bailee.outbound.forwarding.rules import EgressVerdict
from bailee.outbound.hosts import Host
from bailee.outbound.network import Network

_MOST: Final = 64  # connections at the same time


def allows(hosts: Sequence[str], name: str) -> bool:
    """Whether a list of hosts allows a name. Pure."""
    found = name.lower().rstrip(".")
    return any(
        found == host.lower() or (host.startswith("*.") and found.endswith(host[1:].lower()))
        for host in hosts
    )


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxRules:
    """Where commands in the sandbox may connect to: the settings' hosts, at these ports."""

    hosts: tuple[str, ...]
    ports: Container[int] = (80, 443)

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """See `ForwardRules`."""
        if not allows(self.hosts, host.name):
            reason = "it is not in sandbox.network of the settings"
            return EgressVerdict(False, "sandbox.network", reason)
        if port not in self.ports:
            return EgressVerdict(False, "sandbox.port", f"port {port} is neither 80 nor 443")
        return EgressVerdict(True, "sandbox.network", "the settings allow it")

    def unnamed(self, host: Host) -> bool:
        """TLS can't name an address, so to one it needs no name."""
        return host.address is not None

    def strict(self, host: Host) -> bool:  # noqa: ARG002
        """Every tunnel is held to its host."""
        return True

    def named(self, host: Host, port: int, name: str) -> None:
        """It does not come to this."""


class Egress:
    """The proxy of one session, on the session's loop. `path` is its socket, once `start` has been
    awaited. `refused`: how often each host was.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        network: Network,
        *,
        dialer: Dialer | None = None,
        ports: Container[int] = (80, 443),
    ) -> None:
        self.hosts = tuple(hosts)
        self.refused: dict[str, int] = {}
        budgets = Budgets.of_a_person(_MOST)
        self._proxy = ForwardProxy(
            SandboxRules(self.hosts, ports),
            record=self._note,
            dialer=dataclasses.replace(dialer or Dialer(seconds=budgets.connect), network=network),
            budgets=budgets,
            violations=1 << 62,
        )
        self._server: asyncio.Server | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path | None:
        """Where it listens."""
        return None if self._folder is None else Path(self._folder.name) / "egress"

    async def start(self) -> None:
        """Listens; does nothing when it does already."""
        if self._server is not None:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="bailee-")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._proxy.connection, str(self.path))

    async def close(self) -> None:
        """Ends all connections, and is no longer there."""
        if self._server is not None:
            self._server.close()
            await self._proxy.close()
            self._server = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _note(self, one: EgressRecord) -> None:
        if one.host and one.outcome in (ConnectionOutcome.REFUSED, ConnectionOutcome.CUT):
            self.refused[one.host] = self.refused.get(one.host, 0) + 1
