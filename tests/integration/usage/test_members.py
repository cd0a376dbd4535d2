"""What each member of an organisation may use: whose limit it is, and what counts of it.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from bailee.home import Home
from bailee.keeping.keeper import Owner
from bailee.node import Node
from bailee.usage.asking import UsageAsker
from bailee.usage.limit_store import LimitStore
from bailee.usage.limits import (
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    Used,
    WantedUse,
    limit_id,
    member_id,
)
from bailee.usage.reserving import ReserveUse, Settle

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
ANN = UsageAsker("key_a", "per_a", "org_1", "team", "apps")
BOB = UsageAsker("key_b", "per_b", "org_1", "team")
EVE = UsageAsker("key_e", "per_e", "org_2", "team")
ALL = Subject(Scope.MEMBERS, "org_1")
APPS = Subject(Scope.TEAM_MEMBERS, "org_1/apps")
HERS = Subject(Scope.MEMBER, "org_1/per_a")


class Place:
    """A home's limits, and counts by the hour that a test says."""

    def __init__(self, node: Node) -> None:
        self.counted: dict[str, int] = {}
        self.store = LimitStore(node.data, node.ledger, self._before)
        self.numbers = iter(range(1000))

    def _before(self, subject: Subject, since: datetime, until: datetime) -> Used:
        assert subject.scope is Scope.MEMBER and since < until
        return Used(0, 0, self.counted.get(subject.id, 0))

    def limited(self, subject: Subject, amount: int, span: LimitSpan = LimitSpan.DAY) -> UsageLimit:
        """Set a limit on money, in micro-USD."""
        money = LimitMeasure.MONEY
        made = UsageLimit(limit_id(subject, money, span), subject, money, span, amount)
        self.store.set_limit(made, NOW, by="operator")
        return made

    def begins(self, who: UsageAsker, at: datetime = NOW) -> str | None:
        """A request that may use 10; its id, None: it is refused."""
        name = f"req_{next(self.numbers)}"
        wants = ReserveUse(name, who.subjects, WantedUse(1, 10))
        return name if self.store.work([wants], at)[name].over is None else None

    def uses(self, who: UsageAsker, money: int, at: datetime = NOW) -> bool:
        """Whether one that uses so much goes on."""
        name = self.begins(who, at)
        if name is not None:
            self.store.work([Settle(name, 1, money)], at)
        return name is not None

    def used(self, who: UsageAsker, at: datetime = NOW) -> list[tuple[int, int]]:
        """What of which limits is used."""
        found = self.store.standings_under(who.subjects, at)
        return [(one.used, one.limit.amount) for one in found]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """One without limits."""
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        yield Place(node)


def test_each_has_their_own(place: Place) -> None:
    """What one uses is no other's, and nobody's elsewhere; who has no person has none."""
    place.limited(ALL, 100)
    machine = UsageAsker("key_m", "", "org_1", "team")
    assert place.uses(ANN, 100) and not place.uses(ANN, 1)
    assert [(100, 100)] == place.used(ANN)
    assert place.uses(BOB, 60) and [(60, 100)] == place.used(BOB)
    assert [] == place.used(EVE) == place.used(machine)
    assert place.uses(EVE, 1000) and place.uses(machine, 1000)


def test_the_nearest_holds(place: Place) -> None:
    """A member's own, else their team's, else the organisation's: for each time by itself. One
    without an end lifts what would hold, also where it is laxer.
    """
    place.limited(ALL, 100)
    place.limited(ALL, 5000, LimitSpan.MONTH)
    team = place.limited(APPS, 300)
    assert [(0, 300), (0, 5000)] == place.used(ANN)
    assert [(0, 100), (0, 5000)] == place.used(BOB)
    own = place.limited(HERS, UNLIMITED)
    assert place.uses(ANN, 4000) and place.uses(ANN, 10)
    assert [(4010, 5000)] == place.used(ANN)
    place.store.remove_limit(own, by="operator")
    place.counted[HERS.id] = 4010  # by now
    assert [(4010, 300), (4010, 5000)] == place.used(ANN)
    assert not place.uses(ANN, 1)
    place.store.remove_limit(team, by="operator")
    place.limited(HERS, 5000)
    assert place.uses(ANN, 1)


def test_what_was_used_before_counts(place: Place) -> None:
    """From the counts, when a member first asks in a window; then by what each request used."""
    place.counted[HERS.id] = 70
    place.limited(ALL, 100)
    assert [(70, 100)] == place.used(ANN)
    assert place.uses(ANN, 20) and [(90, 100)] == place.used(ANN)
    place.counted[HERS.id] = 1000  # is not asked again
    assert [(90, 100)] == place.used(ANN)
    assert place.uses(ANN, 20) and not place.uses(ANN, 20)


def test_of_a_minute_nothing_was_used_before(place: Place) -> None:
    """The counts are by the hour."""
    place.counted[HERS.id] = 70
    place.limited(ALL, 50, LimitSpan.MINUTE)
    assert [(0, 50)] == place.used(ANN)
    assert place.uses(ANN, 50) and not place.uses(ANN, 1)
    assert place.uses(ANN, 50, NOW + timedelta(minutes=1))


@pytest.mark.parametrize("seen", [False, True])
def test_a_request_that_ends_after_midnight_counts_there(place: Place, seen: bool) -> None:
    """Whether somebody has asked on the new day already, or not."""
    place.limited(ALL, 100)
    late, early = NOW.replace(hour=23, minute=59), NOW + timedelta(hours=12)
    name = place.begins(ANN, late)
    assert name is not None
    if seen:
        assert place.uses(ANN, 5, early)
    place.store.work([Settle(name, 1, 30)], early)
    assert [(30 + 5 * seen, 100)] == place.used(ANN, early)


def test_a_request_under_way_at_a_change_counts_once(place: Place) -> None:
    """What is counted begins anew: from the counts, or with it, and not with both."""
    place.limited(ALL, 100)
    name = place.begins(ANN)
    place.limited(ALL, 200)
    assert name is not None
    place.store.work([Settle(name, 1, 30)], NOW)
    place.counted[HERS.id] = 30
    assert [(30, 200)] == place.used(ANN)
    assert place.uses(ANN, 10) and [(40, 200)] == place.used(ANN)


def test_a_pool_is_shared(tmp_path: Path) -> None:
    """By who is in the team, beside what each of them may use. While it is paused nothing is asked
    of it; then it counts what was used meanwhile, and a pause leaves other pools as they were.
    """
    counted = Used(0, 0, 0)
    ian = UsageAsker("key_i", "per_i", "org_1", "team", "apps")
    pool, paused = Subject(Scope.POOL, "org_1/apps"), Subject(Scope.PAUSED_POOL, "org_1/apps")
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        place = Place(node)
        place.store = LimitStore(node.data, node.ledger, lambda *_: counted)
        place.limited(pool, 100, LimitSpan.MONTH)
        asks = limit_id(pool, LimitMeasure.REQUESTS, LimitSpan.MONTH)
        place.store.set_limit(
            UsageLimit(asks, pool, LimitMeasure.REQUESTS, LimitSpan.MONTH, 50), NOW, by="operator"
        )
        assert place.uses(ANN, 60) and place.uses(ian, 40)
        assert not place.uses(ANN, 1) and not place.uses(ian, 1)
        assert place.uses(BOB, 1)

        place.limited(paused, 100, LimitSpan.MONTH)
        assert [(2, 50)] == place.used(ANN)
        assert place.uses(ANN, 500) and [(3, 50)] == place.used(ian)
        counted = Used(3, 3, 600)
        again = place.limited(pool, 700, LimitSpan.MONTH)
        assert {(600, 700), (3, 50)} == {*place.used(ian)}
        assert place.uses(ian, 100) and not place.uses(ANN, 1)
        place.store.remove_limit(again, by="operator")
        assert [asks] == [one.limit_id for one in place.store.limits()]


def test_who_comes_to_another_team_is_counted_anew(place: Place) -> None:
    """What they used meanwhile, where nothing held them, is not given back."""
    place.limited(APPS, 100)
    assert place.uses(ANN, 50) and [(50, 100)] == place.used(ANN)
    assert place.uses(ANN._replace(team="web"), 1000)
    place.counted[HERS.id] = 1050
    place.store.moved({("org_1", "per_a")})
    assert [(1050, 100)] == place.used(ANN) and not place.uses(ANN, 1)


def test_concurrency_of_each(place: Place) -> None:
    """One at once for each of them."""
    one, now = LimitMeasure.CONCURRENCY, LimitSpan.NOW
    made = UsageLimit(limit_id(ALL, one, now), ALL, one, now, 1)
    place.store.set_limit(made, NOW, by="operator")
    assert place.begins(ANN) is not None and place.begins(ANN) is None
    assert place.begins(BOB) is not None


def test_what_a_killed_gateway_reserved_of_a_members_counts(place: Place) -> None:
    """Once its time is over, as of every other."""
    place.limited(ALL, 15)
    assert place.begins(ANN) is not None and place.begins(ANN) is None
    later = NOW + timedelta(hours=1, seconds=1)
    assert place.begins(ANN, later) is not None
    assert [(10, 15)] == place.used(ANN, later)


def test_a_limit_that_was_away_counts_what_was_used_meanwhile(tmp_path: Path) -> None:
    """Of a person as of each member: what is counted stops with the last limit that wants it."""
    counted = Used(0, 0, 0)
    person = Subject(Scope.PERSON, "per_a")
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        store = LimitStore(node.data, node.ledger, lambda *_: counted)
        money, day = LimitMeasure.MONEY, LimitSpan.DAY
        made = UsageLimit(limit_id(person, money, day), person, money, day, 100)
        store.set_limit(made, NOW, by="operator")
        assert 0 == store.standings([person], NOW)[0].used
        store.remove_limit(made, by="operator")
        counted = Used(1, 1, 90)
        store.set_limit(made, NOW, by="operator")
        assert 90 == store.standings([person], NOW)[0].used


def test_nothing_of_who_is_erased_is_left(place: Place) -> None:
    """Neither their limit nor what was counted; another's, whose id ends alike, is."""
    other = Subject(Scope.MEMBER, member_id("org_1", "xper_a"))
    place.limited(HERS, 100)
    place.limited(other, 100)
    assert place.uses(ANN, 5)
    place.store.forget(Owner("acc_1", "per_a"))
    assert [other] == [one.subject for one in place.store.limits()]


def test_when_limits_were_set_is_asked_of_the_record_once_for_all(tmp_path: Path) -> None:
    """Of these subjects and kinds, the newest first and no more than were asked for."""
    node = Node.open(Home(tmp_path / "home"))
    try:
        place, said = Place(node), list[str]()
        for subject in (ALL, HERS, ALL, APPS, Subject(Scope.MEMBERS, "org_2")):
            place.limited(subject, 50)
        place.store.remove_limit(place.limited(HERS, 70), by="operator")

        def listen(*given: object) -> None:
            said.append(str(given[2]))

        kinds, about = ("usage.limit_set", "usage.limit_removed"), (ALL.id, HERS.id)
        event.listen(node.data, "before_cursor_execute", listen)
        try:
            found = node.ledger.latest_about(10, kinds, about)
            assert 1 == len([one for one in said if "FROM audit" in one])
        finally:
            event.remove(node.data, "before_cursor_execute", listen)
        assert [
            ("usage.limit_removed", HERS.id), ("usage.limit_set", HERS.id),
            ("usage.limit_set", ALL.id), ("usage.limit_set", HERS.id), ("usage.limit_set", ALL.id),
        ] == [(one.kind, one.subject) for one in found]  # fmt: skip
        assert found[:2] == node.ledger.latest_about(2, kinds, about)
        assert found[1:] == node.ledger.latest_about(10, kinds[:1], about)
        assert [] == node.ledger.latest_about(10, kinds, ())
    finally:
        node.close()
