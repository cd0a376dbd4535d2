"""One attempt to connect: what is known of it so far, and how it is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.outbound.forward_proxy import NotServed
from bailee.outbound.forwarding.budgets import Budgets, Spending
from bailee.outbound.forwarding.records import ConnectionOutcome, EgressRecord


class Stopped(Exception):
    """An attempt ends here. `reason` is a sentence's end, written from names and numbers only."""

    def __init__(
        self, outcome: ConnectionOutcome, rule: str, reason: str, status: int = 403
    ) -> None:
        super().__init__(reason)
        self.outcome: Final = outcome
        self.rule: Final = rule
        self.reason: Final = reason
        self.status: Final = status

    @property
    def is_violation(self) -> bool:
        """Whether the session did what its rules forbid: not a failure, not a time-out."""
        return self.outcome in (
            ConnectionOutcome.REFUSED,
            ConnectionOutcome.CUT,
        ) and self.status in (400, 403)

    @property
    def is_flood(self) -> bool:
        """Whether the session asked for more than its budgets have."""
        return self.status == 429


def stopped(refusal: NotServed) -> Stopped:
    """What a client asked, or said in a tunnel, and was not served."""
    within = refusal.rule.startswith(("tls.", "sni.", "tunnel."))
    outcome = ConnectionOutcome.CUT if within else ConnectionOutcome.REFUSED
    return Stopped(outcome, refusal.rule, refusal.reason, refusal.status)


@dataclass(slots=True)
class Attempt:
    """One attempt, filled in as it goes on; `established` once the client was told that it is
    connected. Its client's connection owns it, on the proxy's loop, and hands it over for recording
    once.
    """

    at: datetime
    began: float
    spending: Spending
    outcome: ConnectionOutcome = ConnectionOutcome.ALLOWED
    rule: str = ""
    kind: str = "unknown"
    host: str = ""
    port: int = 0
    address: str | None = None
    sent: int = 0
    received: int = 0
    ech: bool = False
    established: bool = False

    def carry(self, *, sent: int = 0, received: int = 0) -> None:
        """Account for bytes.

        Raises:
            Stopped: a budget of volume is used up.
        """
        self.sent += sent
        self.received += received
        self.spending.sent += sent
        self.spending.received += received
        if (over := self.spending.over()) is not None:
            raise Stopped(
                ConnectionOutcome.CUT, over, "the session's budget of volume is used up", 429
            )

    def stop(self, stopped: Stopped) -> None:
        """Note why it ended."""
        self.outcome, self.rule = stopped.outcome, stopped.rule

    def record(self, now: float) -> EgressRecord:
        """As it is recorded."""
        return EgressRecord(
            at=self.at,
            outcome=self.outcome,
            rule=self.rule,
            kind=self.kind,
            host=self.host,
            port=self.port,
            address=self.address,
            sent=self.sent,
            received=self.received,
            seconds=round(max(0.0, now - self.began), 3),
            ech=self.ech,
        )


def idle(budgets: Budgets) -> Stopped:
    """No byte for too long."""
    return Stopped(
        ConnectionOutcome.CUT, "time.idle", f"nothing came for {budgets.idle:g} seconds", 504
    )


def too_long(budgets: Budgets) -> Stopped:
    """One connection for too long."""
    return Stopped(
        ConnectionOutcome.CUT, "time.longest", f"it lasted {budgets.longest:g} seconds", 504
    )


def over_budget(rule: str) -> Stopped:
    """More than the budgets have."""
    return Stopped(ConnectionOutcome.REFUSED, rule, "the session's budget is used up", 429)
