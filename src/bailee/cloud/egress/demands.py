"""What policy documents demand of what cloud sessions reach, over a session's own rules: the
operator's, and that of the organisation whose session it is. Pure.

Rules kept here:

* A demand only refuses. What they leave of the session's rules together must let a host be reached;
  the first that does not is named.
* They are asked for at each connection, so that another document holds for sessions that run.
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
    reach none of `hosts`; without `listed` none either that a list alone allows. `whose` document
    it is of, in words.
    """

    clause: str
    level: Level | None
    hosts: tuple[Pattern, ...]
    listed: bool = True
    whose: str = "the organisation's policy"

    @classmethod
    def of(cls, clause: str, level: str | None, hosts: Sequence[str]) -> EgressDemand:
        """A demand of an organisation's from texts. Raises `InputError`, code `configuration`: a
        host is none.
        """
        wanted = None if level is None else Level(level)
        return cls(clause, wanted, tuple(Pattern.read(one) for one in hosts))

    def over(self, rules: EgressRules) -> EgressRules:
        """A session's rules, with no more than this leaves of them."""
        less = self.level is not None and _ORDER.index(self.level) < _ORDER.index(rules.level)
        level = self.level if less and self.level is not None else rules.level
        return replace(rules, level=level, allow=rules.allow if self.listed else ())

    @property
    def said(self) -> str:
        """What it leaves of the network, in words, for a refusal."""
        if self.listed:
            return f"{self.whose} has the network at {self.level}"
        return f"{self.whose} opens no hosts by lists"


@dataclass(frozen=True, slots=True)
class DemandingRules:
    """A session's rules with what the documents demand: `outbound.forwarding.ForwardRules`.
    Asked on the proxy's loop; `demands` is a look into memory.
    """

    rules: EgressRules
    demands: Callable[[], Sequence[EgressDemand]]

    def decide(self, host: Host, port: int) -> EgressVerdict:
        """See `ForwardRules.decide`."""
        left = self.rules
        for one in self.demands():
            if any(pattern.covers(host, port) for pattern in one.hosts):
                return EgressVerdict(False, one.clause, f"{one.whose} denies this host")
            less = one.over(left)
            if less != left and not less.decide(host, port).allowed:
                return EgressVerdict(False, one.clause, one.said)
            left = less
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
