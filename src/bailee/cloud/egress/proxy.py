"""The HTTP proxy of one session: the engine of `outbound.forwarding`, with a session's rules."""

from __future__ import annotations

from collections.abc import Callable

from bailee.clock import Clock, system_clock
from bailee.cloud.ports import End
from bailee.outbound.dialing import Dialer
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.proxy import ForwardProxy
from bailee.outbound.forwarding.records import EgressRecord
from bailee.outbound.forwarding.rules import ForwardRules


class EgressProxy(ForwardProxy):
    """`serve` is the `Service` of a session. See the package for the arguments."""

    def __init__(
        self,
        rules: ForwardRules,
        *,
        record: Callable[[EgressRecord], None],
        end: Callable[[End], None] = lambda _: None,
        dialer: Dialer | None = None,
        budgets: Budgets | None = None,
        violations: int = 100,
        clock: Clock = system_clock,
    ) -> None:
        super().__init__(
            rules,
            record=record,
            end=lambda: end(End.EGRESS),
            dialer=dialer,
            budgets=budgets,
            violations=violations,
            clock=clock,
        )
