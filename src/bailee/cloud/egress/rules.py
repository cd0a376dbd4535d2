"""Where a session may connect to: decided from the name and the port alone. Pure.

Rules kept here, in this order; the first that speaks decides:

1. The organisation's deny list. Nothing allows what it denies.
2. Level `none`: nothing.
3. The organisation's allow list; an entry may name a port of its own.
4. The port: 80 and 443 unless the rules say otherwise.
5. Level `trusted`: the hosts of `trusted.py`, of the groups that are on.
6. Level `full`: every name, and every address written in the one way (`outbound/hosts.py`).

This comes before any resolving. What the name's addresses are is decided after, for every level
(`outbound/dialing.py`): none of these rules makes a private address reachable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bailee.cloud.egress.trusted import GROUP_OF, TRUSTED
from bailee.errors import InputError
from bailee.outbound.forwarding.rules import EgressVerdict
from bailee.outbound.hosts import Host, NotAHost, read_authority, read_host

PORTS: Final = frozenset({80, 443})


class Level(StrEnum):
    """How much of the network a session has."""

    NONE = "none"
    TRUSTED = "trusted"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Pattern:
    """An entry of a list: a host, or with `below` every name under it and not the host itself.

    `port`: this one only; None: any that the rules allow.
    """

    host: Host
    below: bool = False
    port: int | None = None

    @classmethod
    def read(cls, text: str) -> Pattern:
        """`example.org`, `*.example.org`, `registry.example.org:8443`, `192.0.2.1`.

        Raises:
            InputError: none of these.
        """
        below = text.startswith("*.")
        rest = text.removeprefix("*.")
        try:
            has_port = ":" in rest.rpartition("]")[2]
            host, port = read_authority(rest) if has_port else (read_host(rest), None)
        except NotAHost as error:
            raise InputError(
                f"{text!r} is no entry for a list of hosts: {error}.",
                code="configuration",
                hint="write a host, *.host, or host:port",
            ) from None
        if below and host.address is not None:
            raise InputError(f"{text!r}: an address has no names below it.", code="configuration")
        return cls(host, below, port)

    def covers(self, host: Host, port: int) -> bool:
        """Whether a host and port are meant."""
        if self.port is not None and self.port != port:
            return False
        if self.below:
            return host.address is None and host.name.endswith("." + self.host.name)
        return host.name == self.host.name

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{'*.' if self.below else ''}{self.host.bracketed}{port}"


@dataclass(frozen=True, slots=True)
class EgressRules:
    """What one session may reach.

    `allow`, `deny`: the organisation's lists. `groups`: of `trusted.py`. `without_sni`: TLS without
    a server name passes; it is needed for TLS to bare addresses, and gives up the check of names.
    """

    level: Level
    allow: tuple[Pattern, ...] = ()
    deny: tuple[Pattern, ...] = ()
    ports: frozenset[int] = PORTS
    groups: frozenset[str] = field(default_factory=lambda: frozenset(TRUSTED))
    without_sni: bool = False

    @classmethod
    def of(
        cls,
        level: str,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        groups: Iterable[str] = tuple(TRUSTED),
    ) -> EgressRules:
        """Rules from texts.

        Raises:
            InputError: code `configuration`; a level, entry or group that there is not.
        """
        if level not in tuple(Level):
            raise InputError(
                f"there is no network level {level!r}.",
                code="configuration",
                hint=f"one of {', '.join(Level)}",
            )
        if unknown := set(groups) - set(TRUSTED):
            raise InputError(
                f"there is no group {sorted(unknown)[0]!r} of trusted hosts.",
                code="configuration",
                hint=f"there are {', '.join(TRUSTED)}",
            )
        return cls(
            Level(level),
            tuple(Pattern.read(entry) for entry in allow),
            tuple(Pattern.read(entry) for entry in deny),
            groups=frozenset(groups),
        )

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """May this session connect to `host` and `port`?"""
        for pattern in self.deny:
            if pattern.covers(host, port):
                return EgressVerdict(False, f"deny:{pattern}", "the organisation denies this host")
        if self.level is Level.NONE:
            return EgressVerdict(False, "level.none", "this session has no network")
        for pattern in self.allow:
            if pattern.covers(host, port) and (pattern.port is not None or port in self.ports):
                return EgressVerdict(True, f"allow:{pattern}", "the organisation allows this host")
        if port not in self.ports:
            ports = ", ".join(str(p) for p in sorted(self.ports))
            return EgressVerdict(False, "port", f"only these ports are open: {ports}")
        if self.level is Level.FULL:
            return EgressVerdict(True, "level.full", "this session may reach every public host")
        group = GROUP_OF.get(host.name)
        if group in self.groups:
            return EgressVerdict(True, f"trusted.{group}", f"a trusted host ({group})")
        return EgressVerdict(False, "level.trusted", "the host is not on the list of trusted hosts")

    def unnamed(self, host: Host) -> bool:  # noqa: ARG002
        """Whether TLS to `host` may name no server: it is the same for all."""
        return self.without_sni

    def strict(self, host: Host) -> bool:  # noqa: ARG002
        """Every tunnel is held to its host."""
        return True

    def named(self, host: Host, port: int, name: str) -> None:
        """It does not come to this."""
