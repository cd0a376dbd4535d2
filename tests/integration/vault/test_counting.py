"""The sums that the database keeps of sessions are what the sessions come to, whatever happened."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, event, select, text

from bailee.db.vault import conversation_links, session_ends, session_facts, sessions
from bailee.keeping.keeper import Owner
from bailee.testing.tampering import tamper
from bailee.vault.exchange import Terms
from bailee.vault.holdings import Holding
from bailee.vault.prolonging import KeepingAct
from bailee.vault.terms import Present
from support.homes.grown import grow, steps

pytestmark = [pytest.mark.both_databases, pytest.mark.row("P5", "R1")]

Bench = Any
Sums = dict[tuple[object, ...], tuple[int, ...]]
ONE, TWO = (f"{8 * n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in "12")
LONG, SHORT = Terms("P5Y", "allowed", "d" * 64), Terms("P30D", "refused", "d" * 64)
BY = Terms("P1Y", "retain.transcript-kept", "d" * 64)
OWNERS, PLANS = ("ada", "bob", "cyd"), ("pro", "max", "team")
PASSES = (timedelta(minutes=7), timedelta(hours=2), timedelta(days=9), timedelta(days=31))


def turn(said: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": said}


def rows(bench: Bench) -> list[Any]:
    """All that the index has."""
    with bench.engine.connect() as connection:
        return list(connection.execute(select(sessions)))


def summed(bench: Bench) -> tuple[Sums, Sums]:
    """The rows, one by one: what each of the two tables has to have."""
    facts: Counter[tuple[object, ...]] = Counter()
    ends: defaultdict[tuple[object, ...], list[tuple[int, ...]]] = defaultdict(list)
    for one in rows(bench):
        facts[one.owner, one.plan, one.channel, one.uses, one.data_class, one.last_consent] += 1
        kept = one.kept_until is not None and one.kept_until >= one.expires_at
        half = "00" if one.expires_at.minute < 30 else "30"
        ends[one.data_class, one.plan, f"{one.expires_at:%Y-%m-%d %H}:{half}"].append(
            (1, one.exchanges, one.bytes, int(kept))
        )
    return (
        {key: (count,) for key, count in facts.items()},
        {key: tuple(map(sum, zip(*some, strict=True))) for key, some in ends.items()},
    )


def kept(bench: Bench) -> tuple[Sums, Sums]:
    """What they have."""

    def of(table: Table) -> Sums:
        keys = len(table.primary_key.columns)
        found = connection.execute(select(table))
        return {tuple(row[:keys]): tuple(row[keys:]) for row in found}

    with bench.engine.connect() as connection:
        return of(session_facts), of(session_ends)


def holdings(bench: Bench, now: datetime) -> list[Holding]:
    """What is kept at a moment, looked at one by one."""
    found: defaultdict[tuple[str, str, str], list[tuple[int, ...]]] = defaultdict(list)
    for one in rows(bench):
        if one.expires_at > now:
            by_act = one.kept_until is not None and one.kept_until >= one.expires_at
            found[one.expires_at.date().isoformat(), one.data_class, one.plan].append(
                (1, one.exchanges, one.bytes, int(by_act))
            )
    return [
        Holding(data_class, plan, day, *map(sum, zip(*some, strict=True)))
        for (day, data_class, plan), some in sorted(found.items())
    ]


class Story:
    """A vault in which things happen by chance."""

    def __init__(self, make: Callable[..., Bench], seed: int) -> None:
        self.chance = random.Random(seed)
        self.present: dict[str, Present] = {}
        self.bench = make(present=lambda owner, _plan, _channel: self.present.get(owner))
        self.holds: list[str] = []
        self.done: Counter[str] = Counter()

    def goes_on(self) -> None:
        """One thing more."""
        acts = (
            *(self.says, self.says, self.says, self.says_together, self.passes, self.passes),
            *(self.chooses, self.keeps, self.releases, self.deletes, self.holds_one, self.lets_go),
            *(self.sweeps, self.ends_what_is_past, self.starts_again, self.erases),
        )
        act = self.chance.choice(acts)
        act()
        self.done[act.__name__] += 1

    def says(self, times: int = 1) -> None:
        """In a new session or in one that was there; on a plan that is another sometimes."""
        said = [
            self.bench.exchange(
                [turn(f"{self.bench.count} {n}")],
                session=str(self.chance.randrange(30)),
                owner=(owner := self.chance.choice(OWNERS)),
                plan=self.chance.choice(PLANS[: 1 + OWNERS.index(owner)]),
                period=self.chance.choice(("P30D", "P30D", "P1D", "P5Y")),
            )
            for n in range(times)
        ]
        self.bench.keep(*said)

    def says_together(self) -> None:
        """Several, which are sealed together."""
        self.says(8)

    def passes(self) -> None:
        """Time."""
        self.bench.clock.advance(self.chance.choice(PASSES))

    def chooses(self) -> None:
        """An owner does, and their sessions move."""
        owner, now = self.chance.choice(OWNERS), self.bench.clock()
        number = self.bench.consents[owner] = sum(self.bench.consents.values()) + 1
        terms = self.chance.choice((LONG, SHORT))
        self.present[owner] = Present(terms, number, number)
        self.bench.vault.moving.request(owner, now, now)
        self.bench.vault.moving.run(now)

    def keeps(self) -> None:
        """Their person keeps a session beyond its time."""
        now = self.bench.clock()
        if name := self.any():
            until = now + timedelta(days=self.chance.choice((1, 90)))
            self.bench.vault.prolonging.keep(name, KeepingAct("per_a", now, until, BY), now)

    def releases(self) -> None:
        """And takes that back."""
        if name := self.any():
            self.bench.vault.prolonging.release(name, "per_a", self.bench.clock(), self.now)

    def deletes(self) -> None:
        """A session."""
        if name := self.any():
            self.bench.vault.delete(name, self.bench.clock())

    def holds_one(self) -> None:
        """A session is held."""
        if name := self.any():
            hold = self.bench.vault.place_hold(name, "a matter", self.bench.clock())
            self.holds.append(hold.id)

    def lets_go(self) -> None:
        """Of the oldest hold."""
        if self.holds:
            self.bench.vault.holds.release(self.holds.pop(0), self.bench.clock())

    def sweeps(self) -> None:
        """What is due goes."""
        self.bench.vault.sweep(self.bench.clock())

    def ends_what_is_past(self) -> None:
        """As when the time is to go back."""
        self.bench.vault.end_past(self.bench.clock())

    def starts_again(self) -> None:
        """Another process opens it."""
        self.bench.reopen()

    def erases(self) -> None:
        """All of an owner's that no hold keeps."""
        if self.chance.random() < 0.3:
            owner = self.chance.choice(OWNERS)
            self.bench.vault.erase(Owner(owner, None), self.bench.clock(), "era_1", "operator")

    @property
    def now(self) -> datetime:
        """By the clock."""
        now: datetime = self.bench.clock()
        return now

    def any(self) -> str | None:
        """A session that can be read."""
        there = self.bench.vault.sessions(self.now)
        return self.chance.choice(there).id if there else None


@pytest.mark.parametrize("seed", range(2))
def test_sums_are_what_the_rows_come_to_after_every_act(
    make: Callable[..., Bench], seed: int
) -> None:
    """Whatever is filed, moved, kept, held, deleted, erased or swept; so is the report, now and at
    moments at which nothing was swept yet.
    """
    story = Story(make, seed)
    most = 0
    for _ in range(50):
        story.goes_on()
        assert summed(story.bench) == kept(story.bench), story.done
        for ahead in (0, 11, 29, 30, 31, 60 * 24 * 30):
            at = story.now + timedelta(minutes=ahead)
            assert holdings(story.bench, at) == story.bench.vault.report(at)
        most = max(most, len(rows(story.bench)))
    assert most > 5
    assert not story.bench.vault.sum_up()
    for hold in story.holds:
        story.bench.vault.holds.release(hold, story.now)
    for owner in OWNERS:
        story.bench.vault.erase(Owner(owner, None), story.now, "era_2", "operator")
    assert ({}, {}) == kept(story.bench)


def test_what_goes_in_the_half_hour_under_way_is_told_one_by_one(bench: Bench) -> None:
    """At each end of it, to the microsecond: what is past is not kept, what is not past is."""
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    moments = sorted({one.expires_at for one in rows(bench)})
    for moment in (*moments, moments[0].replace(minute=0, second=0, microsecond=0)):
        for beside in (-1, 0, 1):
            at = moment + timedelta(microseconds=beside)
            assert holdings(bench, at) == bench.vault.report(at)
    assert [] == bench.vault.report(moments[-1])


def test_a_transaction_that_does_not_come_to_its_end_adds_nothing(
    bench: Bench,
) -> None:
    """A store that fails after the rows were put: rows and sums are both not there."""
    bench.keep(bench.exchange([turn("a")], session=ONE))
    before = kept(bench)
    with bench.engine.connect() as connection:
        connection.execute(sessions.update().values(plan="max"))
        connection.execute(conversation_links.delete())
        connection.execute(sessions.delete())
        assert 0 == len(connection.execute(select(session_facts)).all())
        connection.rollback()
    assert summed(bench) == kept(bench) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE session_facts SET sessions = sessions + 1",
        "UPDATE session_facts SET owner = 'bob'",
        "DELETE FROM session_ends",
        "UPDATE session_ends SET bytes = 0",
        "INSERT INTO session_ends VALUES ('transcript', 'pro', '2031-01-01 12:30', 7, 7, 7, 7)",
    ],
)
def test_a_sum_that_was_changed_is_found_and_put_right(bench: Bench, change: str) -> None:
    """Whatever of it was; what is right is left alone."""
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    assert not bench.vault.sum_up()
    with bench.engine.begin() as connection:
        assert connection.execute(text(change)).rowcount
    assert summed(bench) != kept(bench)
    assert bench.vault.sum_up()
    assert summed(bench) == kept(bench)
    assert not bench.vault.sum_up()


@pytest.mark.sqlite_alone
def test_what_was_not_written_is_not_taken_off(bench: Bench) -> None:
    """A session's plan and bytes are changed on the disk, and it is deleted: nothing goes below
    what there is of others, and a check of all puts it right.
    """
    said = (bench.exchange([turn(name)], session=name) for name in (ONE, TWO))
    bench.keep(*said)
    database = bench.path / "data" / "data.db"
    changed = "UPDATE sessions SET plan = 'max', bytes = bytes + 1000000 WHERE id = ?"
    assert 1 == tamper(database, changed, [ONE])
    before = kept(bench)
    bench.vault.delete(ONE, bench.clock())
    assert before == kept(bench)
    assert bench.vault.sum_up()
    assert summed(bench) == kept(bench) != before
    bench.vault.delete(TWO, bench.clock())
    assert ({}, {}) == kept(bench)


@pytest.mark.sqlite_alone
def test_a_home_without_the_sums_has_them_when_it_is_opened(bench: Bench) -> None:
    """Or with triggers that are not what they are to be: made anew, with what there is."""
    bench.keep(bench.exchange([turn("a")], session=ONE))
    right = kept(bench)
    for trigger in ("sessions_summed_delete", "sessions_summed_session_ends"):
        with bench.engine.begin() as connection:
            connection.execute(text(f"DROP TRIGGER {trigger}"))
            connection.execute(text("DELETE FROM session_facts"))
        bench.reopen()
        assert right == kept(bench)
        bench.keep(bench.exchange([turn("a"), turn("b")], session=ONE))
        right = kept(bench)
        assert summed(bench) == right


@pytest.mark.sqlite_alone
def test_a_report_reads_no_row_of_what_goes_later(bench: Bench) -> None:
    """Of sessions it reads those alone that go in the half hour under way, by an index."""
    asked: list[str] = []

    def listen(*given: Any) -> None:
        asked.append(given[2])

    event.listen(bench.engine, "before_cursor_execute", listen)
    bench.vault.report(bench.clock())
    list(bench.vault.groups())
    event.remove(bench.engine, "before_cursor_execute", listen)
    plans = [*plan(bench, asked)]
    assert 2 == len(asked)
    assert 1 == sum("sessions USING INDEX ix_sessions_expires_at" in one for one in plans)
    assert [] == [one for one in plans if re.search(r"SCAN sessions\b", one)]


def plan(bench: Bench, asked: list[str]) -> Iterator[str]:
    """How SQLite goes about it."""
    with bench.engine.connect() as connection:
        for one in asked:
            marks = ("x",) * one.count("?")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", marks):
                yield str(row[-1])


@pytest.mark.sqlite_alone
def test_what_is_asked_of_all_costs_the_same_however_many_there_are(bench: Bench) -> None:
    """A report, whom a document would concern, and a look for damage: as much work for twelve
    thousand sessions as for six thousand. What is damaged is come upon all the same.
    """
    done = []
    for owner in ("ada", "bob"):
        names = grow(bench.engine, bench.keyring, bench.clock, owner, 6000)
        bench.vault.report(bench.clock())  # what is prepared once is
        with steps(bench.engine) as made:
            (one,) = bench.vault.report(bench.clock())
            list(bench.vault.groups(owner))
        looks = []
        for _ in range(6):  # the first begins anywhere, and may be a short one
            with steps(bench.engine) as looking:
                assert [] == bench.vault.unsound()
            looks.append(looking[0])
        done.append(made[0] + max(looks))
    assert 12_000 == one.sessions
    assert done[1] < done[0] * 1.1
    assert 1 == tamper(
        bench.path / "data" / "data.db", "UPDATE sessions SET plan = 'max' WHERE id = ?", names[:1]
    )
    assert names[:1] == sorted({name for _ in range(6) for name in bench.vault.unsound()})
    for _ in range(6):
        bench.vault.sweep(bench.clock())
    assert [f"sessions {names[0]}"] == [found.where for found in bench.vault.damages.all()]
