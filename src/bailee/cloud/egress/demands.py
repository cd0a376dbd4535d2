"""What an organisation demands of what its cloud sessions reach, over a session's own rules. Pure.

Rules kept here:

* A demand only refuses. What none of them refuses, the session's rules decide.
* They are asked for at each connection, so that another document of the organisation's holds for
  sessions that run.
* A refusal names the clause. Its text is not said: what a proxy answers is one line of ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bailee.cloud.egress.rules import EgressRules, Level, Pattern
from bailee.outbound.forwarding.rules import EgressVerdict
from bailee.outbound.hosts import Host

_ORDER = tuple(Level)  # the strictest first


@dataclass(frozen=True, slots=True)
class EgressDemand:
    """A clause (its id) that sessions have no more of the network than `level` (None: any), and
    reach none of `hosts`.
    """

    clause: str
    level: Level | None
    hosts: tuple[Pattern, ...]

    @classmethod
    def of(cls, clause: str, level: str | None, hosts: Sequence[str]) -> EgressDemand:
        """A demand from texts. Raises `InputError`, code `configuration`: a host is none."""
        wanted = None if level is None else Level(level)
        return cls(clause, wanted, tuple(Pattern.read(one) for one in hosts))


@dataclass(frozen=True, slots=True)
class DemandingRules:
    """A session's rules with what its organisation demands: `outbound.forwarding.ForwardRules`.
    Asked on the proxy's loop; `demands` is a look into memory.
    """

    rules: EgressRules
    demands: Callable[[], Sequence[EgressDemand]]

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """See `ForwardRules.decide`."""
        for one in self.demands():
            if any(pattern.covers(host, port) for pattern in one.hosts):
                return EgressVerdict(
                    False, one.clause, "the organisation's policy denies this host"
                )
            if one.level is None or not _less(one.level, self.rules.level):
                continue
            if not replace(self.rules, level=one.level).decide(host, port).allowed:
                said = f"the organisation's policy has the network at {one.level}"
                return EgressVerdict(False, one.clause, said)
        return self.rules.decide(host, port)

    def unnamed(self, host: Host) -> bool:
        """See `ForwardRules.unnamed`."""
        return self.rules.unnamed(host)

    def strict(self, host: Host) -> bool:
        """See `ForwardRules.strict`."""
        return self.rules.strict(host)

    def named(self, host: Host, port: int, name: str) -> None:
        """See `ForwardRules.named`."""
        self.rules.named(host, port, name)


def _less(one: Level, other: Level) -> bool:
    return _ORDER.index(one) < _ORDER.index(other)
