"""All orders of choosing, starting and resuming, in a real home: accounts, policy and vault."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bailee.accounts import Accounts
from bailee.policy.period import expires_at
from bailee.vault.exchange import CapturedExchange
from support.homes.places import Place

NAMES = [f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(3)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


class Life(RuleBasedStateMachine):
    """The consumer's life with three sessions. The model keeps the whole history, and for each
    session the shortest time it was ever put on since it was last resumed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bailee-life-"))
        self.place = Place(self.folder / "home")
        self.choice = "none"
        self.used: dict[str, list[str]] = {}  # a session's words and uses, in order
        self.days: dict[str, int] = {}
        self.last: dict[str, datetime] = {}
        self.under_way: dict[str, tuple[CapturedExchange, str, int]] = {}

    def teardown(self) -> None:
        """Close and remove the home."""
        self.place.close()
        shutil.rmtree(self.folder)

    def _tick(self) -> None:
        self.place.clock.advance(timedelta(minutes=1))

    def _long(self) -> int:
        return 5 * 365 if self.choice == "allowed" else 30

    @rule(choice=st.sampled_from(["allowed", "refused"]))
    def choose(self, choice: str) -> None:
        """Choose; choosing what holds already is no new choice."""
        self._tick()
        self.place.choose(choice)
        if choice != self.choice:
            self.choice = choice
            for session, events in self.used.items():
                events.append(choice)
                self.days[session] = min(self.days[session], self._long())

    @rule(session=st.sampled_from(NAMES))
    def use(self, session: str) -> None:
        """Start or resume a session."""
        self._tick()
        self.place.end(self.place.begin(session))
        self.used.setdefault(session, []).append("use")
        self.days[session] = self._long()
        self.last[session] = max(self.place.clock(), self.last.get(session, self.place.clock()))

    @precondition(lambda self: not self.under_way)
    @rule(session=st.sampled_from(NAMES))
    def send(self, session: str) -> None:
        """Send a request whose answer comes later."""
        self._tick()
        self.under_way[session] = (self.place.begin(session), self.choice, self._long())

    @precondition(lambda self: self.under_way)
    @rule()
    def answer(self) -> None:
        """The answer comes, perhaps after other choices: what counts is when the request began."""
        self._tick()
        session, (exchange, _, days) = self.under_way.popitem()
        self.place.end(exchange)
        if exchange.consent == self.place.node.accounts.get(self.place.account).consent:
            self.used.setdefault(session, []).append("use")
            self.days[session] = self._long()
        elif session not in self.used:
            self.used[session] = []
            self.days[session] = min(days, self._long())
        elif "use" not in self._since(session):
            self.days[session] = min(self.days[session], days)
        self.last[session] = max(self.place.clock(), self.last.get(session, self.place.clock()))

    def _since(self, session: str) -> list[str]:
        """What happened to a session since the present choice."""
        events = self.used[session]
        words = [n for n, event in enumerate(events) if event != "use"]
        return events[words[-1] :] if words else events

    @rule(minutes=st.integers(1, 90))
    def set_back(self, minutes: int) -> None:
        """Somebody sets the clock back: the order of things is what it was."""
        self.place.clock.advance(timedelta(minutes=-minutes))

    @rule()
    def restart(self) -> None:
        """The process ends and another starts."""
        self.place.close()
        self.place.open()

    @invariant()
    def what_holds(self) -> None:
        """Trained on: exactly what was used since the present yes. Kept: by the same token."""
        rows = self.place.sessions()
        assert set(self.used) == set(rows)
        for session, row in rows.items():
            yes = self.choice == "allowed" and "use" in self._since(session)
            effect = self.place.node.deciding.training(row).effect
            assert ("allow" if yes else "deny") == effect
            period = "P30D" if self.days[session] == 30 else "P5Y"
            assert (period, self.last[session]) == (row.period, row.last_activity)
            assert expires_at(self.last[session], period) == row.expires_at


@pytest.mark.row("T2", "T4", "R4")
class TestLife(Life.TestCase):  # type: ignore[misc]
    """Every order of choosing, starting, resuming and withdrawing, restarts included."""

    settings = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.mark.row("R4")
def test_a_choice_that_was_not_followed_is_followed_at_the_next_start(place: Place) -> None:
    """A crash between the choice and the queue: the next start finds it."""
    place.choose("allowed")
    place.clock.advance(timedelta(minutes=1))
    place.end(place.begin(NAMES[0]))
    place.clock.advance(timedelta(minutes=1))
    node = place.node
    names = node.registry.identifiers
    nobody_follows = Accounts(node.data, node.holding, place.clock, node.ledger, names=names)
    nobody_follows.choose_training(place.account, "refused", language="en", source="terminal")
    assert "P5Y" == place.sessions()[NAMES[0]].period
    place.close()
    place.open()
    place.node.vault.sweep(place.clock())
    assert "P30D" == place.sessions()[NAMES[0]].period


@pytest.mark.row("T5", "T6")
def test_a_session_that_was_ever_elsewhere(place: Place) -> None:
    """A session's uses are all remembered: one that was on Bedrock once is not eligible."""
    place.choose("allowed")
    place.clock.advance(timedelta(minutes=1))
    place.end(place.begin(NAMES[0])._replace(plan="team", channel="bedrock"))
    place.end(place.begin(NAMES[0]))
    (row,) = place.sessions().values()
    assert ("pro", "api", "pro/api team/bedrock") == (row.plan, row.channel, row.uses)
    assert "deny" == place.node.deciding.training(row).effect
