"""What a forward proxy asks before it connects anywhere. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bailee.outbound.hosts import Host


@dataclass(frozen=True, slots=True)
class EgressVerdict:
    """May it, by which rule (an id, short and without content), and why in a sentence."""

    allowed: bool
    rule: str
    reason: str


class ForwardRules(Protocol):
    """Where one proxy's clients may connect to. Asked on the proxy's loop, so it only looks up. It
    resolves nothing and checks no address: that is done at connecting, whatever it allows.
    """

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """May they connect to `host` and `port`? Asked before anything is resolved."""

    def unnamed(self, host: Host) -> bool:
        """Whether TLS to `host` may name no server."""

    def strict(self, host: Host) -> bool:
        """Whether what goes through a tunnel to `host` must be for it: TLS that names it, or plain
        HTTP. Else anything passes, from either side first.
        """

    def named(self, host: Host, port: int, name: str) -> None:
        """In a tunnel that is not `strict`, TLS named another server."""
