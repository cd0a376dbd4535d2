"""What serves one cloud session: its git proxy, its egress proxy, and the way to the gateway.

All of it lives in the process that owns the home, where the credentials are; the session's machine
reaches it through its runner (`cloud/runners/`). What a session shows to the git proxy and to the
gateway are two secrets of its own that end with it.

Rows: C2, C3.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.cloud.coupling import couple
from bailee.cloud.egress import EgressProxy, EgressRecord, EgressRules
from bailee.cloud.egress.demands import DemandingRules, EgressDemand
from bailee.cloud.git import Credential, GitProxy, GitRecord, Repository
from bailee.cloud.ports import End, Service
from bailee.cloud.sessions.asked import Asked
from bailee.cloud.sessions.records import SessionRecord
from bailee.config import Settings
from bailee.errors import InputError
from bailee.home import Home
from bailee.home.control import reachable
from bailee.json_values import JsonObject
from bailee.ledger import Ledger
from bailee.outbound.addresses import Address, embedded, why_not_public
from bailee.outbound.dialing import AddressRefused, Dialer
from bailee.outbound.network import Network
from bailee.outbound.streams import Writer
from bailee.policy.document import NETWORKS, OPENS

Credentials = Callable[[str, Repository], Credential]
"""By account and repository: where the git server's credential comes from."""

RulesOf = Callable[..., EgressRules]
"""By account and level, with what the operator allows and denies: what a session may reach."""

DemandsOf = Callable[[str], Sequence[EgressDemand]]
"""What the documents demand of what an account's sessions reach, at this moment."""

Opens = Callable[[str], bool]
"""Whether the operator's document has something opened, of `policy.network.OPENED`, at this
moment."""

_Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


@dataclass(frozen=True, slots=True)
class NetworkReach:
    """What the operator lets sessions reach, from the settings."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    git_networks: _Networks
    egress_networks: _Networks

    @classmethod
    def of(cls, settings: Settings) -> NetworkReach:
        """From the settings.

        Raises:
            InputError: code `configuration`.
        """
        made = cls(
            _list(settings, "cloud.network_allow"),
            _list(settings, "cloud.network_deny"),
            _networks(settings, "cloud.git_networks"),
            _networks(settings, "cloud.egress_networks"),
        )
        EgressRules.of(settings.text("cloud.network") or "", allow=made.allow, deny=made.deny)
        return made


class CloudServing:
    """Makes what serves a session; `serve` is a `around.Serve`.

    `Cloud` owns it, and has it called on the sessions' thread. It has what all sessions share: the
    gateway's socket, the settings' networks, where credentials and lists are looked up. It holds
    nothing of any session.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        ledger: Ledger,
        *,
        credentials: Credentials,
        rules: RulesOf,
        demands: DemandsOf,
        opens: Opens,
    ) -> None:
        self.gateway = reachable(home.gateway_socket)
        self.reach = NetworkReach.of(settings)
        self.ledger = ledger
        self.credentials = credentials
        self.rules = rules
        self.demands = demands
        self.opens = opens

    @property
    def plain(self) -> bool:
        """Whether a repository may be reached without TLS: where the operator named a network, and
        the document has it open.
        """
        return bool(self.reach.git_networks) and self.opens(NETWORKS)

    def dialer(self, private: _Networks) -> Dialer:
        """Connects for a session: to these networks too, while the document has them open."""
        return CloudDialer(
            private=private, network=Network.of(), opens=lambda: self.opens(NETWORKS)
        )

    def serve(
        self, record: SessionRecord, asked: Asked, end: Callable[[End], None]
    ) -> SessionServices:
        """What serves this session."""
        return SessionServices(self, record, asked, end)


@dataclass(frozen=True, slots=True)
class CloudDialer(Dialer):
    """Connects for a session's proxies. `opens`: whether the networks of `private` are open; asked
    for each address, so that another document holds from the next connection on.
    """

    opens: Callable[[], bool] = lambda: True

    def check(self, address: Address) -> None:
        """See `Dialer.check`."""
        if Dialer.permits(self, address) and why_not_public(address) and not self.opens():
            reason = "the policy document opens no networks that are not public"
            raise AddressRefused(OPENS, reason, embedded(address))
        Dialer.check(self, address)


class SessionServices:
    """What serves one session: see `around.Served`. The session owns it and calls it on the
    sessions' thread, on which its streams run, too. It shows the machine no credential but the
    session's own.
    """

    def __init__(
        self, serving: CloudServing, record: SessionRecord, asked: Asked, end: Callable[[End], None]
    ) -> None:
        reach = serving.reach
        self._session: Final = record.id
        self._owner: Final = record.owner
        self._serving = serving
        self._streams: set[asyncio.Task[object]] = set()
        self._waiting: list[JsonObject] = []
        self._egress: Counter[str] = Counter()
        self._git: Counter[str] = Counter()
        repository = Repository.read(asked.repository, plain=bool(reach.git_networks))
        token = secrets.token_hex(32)
        git = GitProxy(
            repository,
            branch=f"refs/heads/{asked.push_branch}",
            token=token,
            credential=serving.credentials(record.owner, repository),
            record=self._note_git,
            dialer=serving.dialer(reach.git_networks),
        )
        rules = serving.rules(record.owner, asked.network, allow=reach.allow, deny=reach.deny)
        egress = EgressProxy(
            DemandingRules(rules, lambda: serving.demands(record.owner)),
            record=self._note_connection,
            end=end,
            dialer=serving.dialer(reach.egress_networks),
        )
        self.clone_address: Final = git.url
        self.git_authorization: Final = f"Bearer {token}"
        self.services: Mapping[str, Service] = {
            "egress": self._while_it_lasts(egress.serve),
            "git": self._while_it_lasts(git.serve),
            "model": self._while_it_lasts(self._model),
        }

    def connections(self) -> list[JsonObject]:
        """See `around.Served.connections`."""
        found, self._waiting = self._waiting, []
        return found

    def counts(self) -> dict[str, str | int | float | bool | None]:
        """See `around.Served.counts`."""
        return {
            **{f"egress_{name}": self._egress[name] for name in _EGRESS_COUNTS},
            **{f"git_{name}": self._git[name] for name in _GIT_COUNTS},
        }

    async def close(self) -> None:
        """End every stream that is left."""
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)

    async def _model(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """The gateway's own listener; what it is shown is the session's key."""
        try:
            there, back = await asyncio.open_unix_connection(self._serving.gateway)
        except OSError:
            writer.close()
            return
        await couple(reader, writer, there, back)

    def _while_it_lasts(self, service: Service) -> Service:
        async def served(reader: asyncio.StreamReader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                await service(reader, writer)
            finally:
                self._streams.discard(task)

        return served

    def _note_connection(self, one: EgressRecord) -> None:
        self._egress["connections"] += 1
        self._egress[one.outcome] += 1
        self._egress["sent"] += one.sent
        self._egress["received"] += one.received
        self._waiting.append(
            {
                "at": one.at.isoformat(),
                "outcome": one.outcome,
                "rule": one.rule,
                "kind": one.kind,
                "host": one.host,
                "port": one.port,
                "address": one.address,
                "sent": one.sent,
                "received": one.received,
                "seconds": round(one.seconds, 3),
                "ech": one.ech,
            }
        )

    def _note_git(self, one: GitRecord) -> None:
        """Each operation is an entry of the audit record. The hashes are the session's owner's: to
        whoever has the commits they say who wrote them.
        """
        self._git["operations"] += 1
        self._git[one.outcome] += 1
        body: dict[str, str | int] = {
            "operation": one.ask,
            "outcome": one.outcome,
            "rule": one.rule,
            "old": one.old,
            "new": one.new,
            "sent": one.sent,
            "received": one.received,
        }
        self._serving.ledger.append("cloud.git", self._session, body, whose=self._owner)


_EGRESS_COUNTS: Final = ("connections", "allowed", "refused", "cut", "failed", "sent", "received")
_GIT_COUNTS: Final = ("operations", "refused", "rejected")


def _list(settings: Settings, name: str) -> tuple[str, ...]:
    return tuple(one for one in (settings.text(name) or "").replace(",", " ").split())


def _networks(settings: Settings, name: str) -> _Networks:
    try:
        return tuple(ipaddress.ip_network(one) for one in _list(settings, name))
    except ValueError:
        raise InputError(
            f"{name} holds something that is not a network.",
            code="configuration",
            hint="write them like 10.1.0.0/16, with commas between",
        ) from None
