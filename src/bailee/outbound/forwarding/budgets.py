"""How much of the network one session may use. Pure: `now` is in seconds of a steady clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budgets:
    """Sizes in bytes, times in seconds.

    `per_second`, `burst`: new connections. `sent`, `received`: what all connections together may
    carry out of and into the session. `head`: until the request, and TLS's first message, must be
    there. `idle`: without a byte either way. `longest`: one connection.
    """

    concurrent: int = 64
    total: int = 50_000
    per_second: float = 40.0
    burst: int = 200
    sent: int = 1 << 30
    received: int = 20 << 30
    connect: float = 15.0
    head: float = 20.0
    idle: float = 300.0
    longest: float = 2 * 3600.0

    @classmethod
    def of_a_person(cls, concurrent: int) -> Budgets:
        """For a person's own program: bounded at once, and by no volume."""
        day = 86_400.0
        return cls(
            *(concurrent, 1 << 62, 1e9, 1 << 30, 1 << 62, 1 << 62),
            connect=20.0,
            idle=day,
            longest=365 * day,
        )


class Spending:
    """What a session has used so far. Its proxy owns it, and asks and counts on its loop's thread.
    It ends nothing: it says which budget is over.
    """

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self.streams = 0
        self.connections = 0
        self.sent = 0
        self.received = 0
        self._tokens = float(budgets.burst)
        self._filled: float | None = None

    def connection(self, now: float) -> str | None:
        """One more connection: None, or the budget that does not allow it."""
        if self._filled is not None:
            gained = (now - self._filled) * self._budgets.per_second
            self._tokens = min(float(self._budgets.burst), self._tokens + gained)
        self._filled = now
        if self.connections >= self._budgets.total:
            return "budget.total"
        if self._tokens < 1:
            return "budget.rate"
        if (over := self.over()) is not None:
            return over
        self._tokens -= 1
        self.connections += 1
        return None

    def over(self) -> str | None:
        """The budget of volume that is used up, if one is."""
        if self.sent > self._budgets.sent:
            return "budget.sent"
        if self.received > self._budgets.received:
            return "budget.received"
        return None
