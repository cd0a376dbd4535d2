"""Two gateways over one database share a limit: real processes, at once, on real requests' sums.

Rows: O2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from bailee.db.engine import reading
from bailee.db.usage import (
    SUMS,
    usage_gateways,
    usage_limits,
    usage_reservations,
    usage_windows,
)
from bailee.db.vault import erasures
from bailee.errors import StorageError
from bailee.home import Home
from bailee.keeping.keeper import Owner
from bailee.node import Node
from bailee.testing.tampering import tamper
from bailee.usage.counts import CountedUse, UsageCounts, UsageOf
from bailee.usage.limit_rows import GONE, reserved_for
from bailee.usage.limit_store import LimitStore
from bailee.usage.limits import (
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    Used,
    WantedUse,
    limit_id,
)
from bailee.usage.reserving import ReserveUse, Settle, UsageReservations
from support.clients import processes
from support.clients.programs import clean_environment

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
ANN = Subject(Scope.PERSON, "per_1")
COST, MOST = 700, 1000

GATEWAY = Path(__file__).with_name("reserving_process.py")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A home, which holds the limits."""
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        yield node


def limited(store: LimitStore, amount: int, measure: LimitMeasure, span: LimitSpan) -> None:
    """Ann has this limit."""
    made = UsageLimit(limit_id(ANN, measure, span), ANN, measure, span, amount)
    store.set_limit(made, NOW, by="operator")


@pytest.mark.parametrize(
    ("amount", "measure"), [(100_000, "money"), (1_000, "tokens"), (150, "requests")]
)
def test_two_gateways_go_over_by_one_request_at_the_most(
    node: Node, tmp_path: Path, amount: int, measure: str
) -> None:
    """However their requests fall together; and what is refused is refused in both."""
    limited(node.limits, amount, LimitMeasure(measure), LimitSpan.DAY)
    (at,) = [str(node.data.url.database)]
    key = node.keyring.secret("data/rows").hex()
    gateways = [
        processes.start(
            *(at, name, key), env=clean_environment(tmp_path), program=GATEWAY, given=True, stderr=2
        )
        for name in ("a", "b")
    ]
    for one in gateways:
        assert one.stdout is not None and "ready\n" == one.stdout.readline()
    for one in gateways:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    admitted = [int(one.communicate(timeout=120)[0]) for one in gateways]

    (standing,) = node.limits.standings([ANN], NOW)
    each = {"money": COST, "tokens": 7, "requests": 1}[measure]
    assert min(admitted) > 0
    assert each * sum(admitted) == standing.used
    assert amount <= standing.used < amount + (MOST if measure == "money" else 10)


def test_what_a_killed_gateway_reserved_counts_once_its_time_is_over(node: Node) -> None:
    """Until then it is under way; then it counts in full, since nobody knows what it used."""
    store = node.limits
    limited(store, 1_500, LimitMeasure.MONEY, LimitSpan.DAY)
    store.work([ReserveUse("lost", [ANN], WantedUse(10, MOST))], NOW)

    found = store.work([ReserveUse("next", [ANN], WantedUse(10, MOST))], NOW)["next"]
    assert found.over is not None and found.over.waits
    later = NOW + timedelta(hours=1, seconds=1)
    assert (
        store.work([ReserveUse("later", [ANN], WantedUse(10, MOST))], later)["later"].over is None
    )
    assert MOST == store.standings([ANN], later)[0].used


def test_concurrency_is_what_is_under_way(node: Node) -> None:
    """One at once: the second waits for the first."""
    store = node.limits
    limited(store, 1, LimitMeasure.CONCURRENCY, LimitSpan.NOW)
    assert store.work([ReserveUse("1", [ANN], WantedUse(1, 1))], NOW)["1"].over is None
    second = store.work([ReserveUse("2", [ANN], WantedUse(1, 1))], NOW)["2"]
    assert second.over is not None and second.over.waits
    assert (
        store.work([Settle("1", 1, 1), ReserveUse("3", [ANN], WantedUse(1, 1))], NOW)["3"].over
        is None
    )


def test_a_row_that_is_not_what_was_written_decides_nothing(node: Node) -> None:
    """A limit whose amount a disk has changed is no limit; `bailee verify` names it."""
    limited(node.limits, 5, LimitMeasure.REQUESTS, LimitSpan.DAY)
    with node.data.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER usage_limits_mac_update")
        connection.execute(update(usage_limits).values(amount=10**9))
    assert [] == node.limits.limits()


@pytest.mark.parametrize("change", ["tokens = 0", "tokens = 1 << 50", "subject = 'per_0'"])
def test_a_window_that_is_not_what_was_written_is_counted_anew(tmp_path: Path, change: str) -> None:
    """From the counts by the hour, whichever of its columns is another; it is named until then."""
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        known = LimitStore(node.data, node.ledger, lambda *_: Used(3, 900, 0))
        limited(known, 1_000, LimitMeasure.TOKENS, LimitSpan.DAY)
        assert 0 < tamper(node.home.data_database, f"UPDATE usage_windows SET {change}")
        assert 900 == known.standings([ANN], NOW)[0].used
        wants = ReserveUse("1", [ANN], WantedUse(100, 1))
        assert known.work([wants], NOW)["1"].over is None
        assert known.work([ReserveUse("2", [ANN], WantedUse(1, 1))], NOW)["2"].over is not None
        known.work([Settle("1", 50, 1)], NOW)
        assert 950 == known.standings([ANN], NOW)[0].used


def test_a_window_goes_when_it_has_long_ended(node: Node) -> None:
    """That of a minute after an hour, a day's after forty days; what goes changes no standing."""
    store = node.limits
    for span in (LimitSpan.MINUTE, LimitSpan.DAY):
        limited(store, 1_000, LimitMeasure.TOKENS, span)
    left = []
    for passed in (timedelta(0), timedelta(minutes=59), timedelta(hours=1, minutes=1)):
        at = NOW + passed
        store.work([ReserveUse("1", [ANN], WantedUse(9, 1)), Settle("1", 9, 1)], at)
        store.sweep(at)
        with node.data.connect() as connection:
            rows = connection.execute(select(usage_windows.c.span, usage_windows.c.tokens))
            left.append(sorted(tuple(row) for row in rows))
    assert [
        [("day", 9), ("minute", 9)],
        [("day", 18), ("minute", 9), ("minute", 9)],
        [("day", 27), ("minute", 9), ("minute", 9)],
    ] == left
    by_span = {one.limit.span: one.used for one in store.standings([ANN], at)}
    assert {LimitSpan.DAY: 27, LimitSpan.MINUTE: 9} == by_span
    assert {"usage_windows": 3} == store.sweep(NOW + timedelta(days=41))


@pytest.mark.parametrize("change", ["tokens = 1 << 50", "until = until + (1 << 40)"])
def test_a_reservation_that_is_not_what_was_written_holds_nothing(node: Node, change: str) -> None:
    """What it has reserved is another number, or until when: nobody waits for it."""
    limited(node.limits, 1_000, LimitMeasure.TOKENS, LimitSpan.DAY)
    node.limits.work([ReserveUse("1", [ANN], WantedUse(950, 1))], NOW)
    assert 1 == tamper(node.home.data_database, f"UPDATE usage_reservations SET {change}")
    wants = ReserveUse("2", [ANN], WantedUse(900, 1))
    assert node.limits.work([wants], NOW)["2"].over is None
    node.limits.work([Settle("1", 10, 1), Settle("2", 20, 1)], NOW)
    assert 20 == node.limits.standings([ANN], NOW)[0].used


def test_without_the_store_nothing_is_said_to_be_within(node: Node) -> None:
    """Who asks is told that it can't be told."""
    limited(node.limits, 5, LimitMeasure.REQUESTS, LimitSpan.DAY)
    with node.data.begin() as connection:
        usage_reservations.drop(connection)
    with pytest.raises(StorageError):
        node.limits.work([ReserveUse("1", [ANN], WantedUse(1, 1))], NOW)
    assert Used() == node.usage.used_by(ANN, NOW, NOW)


def test_a_batch_of_counts_is_added_once(node: Node) -> None:
    """Said again, since its answer was lost: it is there once. The next one is new, and so is the
    same number of another process. What somebody used who is erased is not added to theirs.
    """
    hour = int(NOW.replace(minute=0).timestamp())
    amounts = tuple(2 if name == "requests" else 0 for name in SUMS)
    until = hour + 90 * 24 * 3600
    where = "key_1", "cli", "m", "api", "", False, until, amounts, 0
    used = CountedUse(hour, "acc_1", "per_1", "org_1", "apps", *where)
    other = UsageCounts(node.data, "other")
    for counts, number in ((node.usage, 1), (node.usage, 1), (node.usage, 2), (other, 1)):
        counts.add([used], number)

    def requests(whose: UsageOf) -> int:
        found = node.usage.of(whose, NOW - timedelta(hours=1), NOW + timedelta(hours=1), (), NOW)
        return sum(one.requests for one in found)

    assert 6 == requests(UsageOf())
    with node.data.begin() as connection:
        connection.execute(
            insert(erasures).values(
                id="era_1", person_id="per_1", account_id="acc_2", state="done",
                requested_by="operator", requested_at=NOW,
            )
        )  # fmt: skip
    node.usage.forget(Owner(account_id="acc_2", person_id="per_1"))
    other.add([used, dataclasses.replace(used, account="acc_2")], 2)
    assert (8, 0, 0) == tuple(
        requests(one) for one in (UsageOf(), UsageOf(person="per_1"), UsageOf(account="acc_2"))
    )


def test_what_a_gateway_reserved_that_is_gone_is_over_before_its_time(node: Node) -> None:
    """It is under way as long as its gateway gives signs of life, and then counts in full; what the
    one that asks has reserved is under way in any case.
    """
    store = node.limits
    limited(store, 1_500, LimitMeasure.MONEY, LimitSpan.DAY)
    lost = UsageReservations(node.data, lambda *_: Used(), "lost")
    assert lost.work([ReserveUse("1", [ANN], WantedUse(10, 600))], NOW)["1"].over is None
    assert store.work([ReserveUse("2", [ANN], WantedUse(10, 600))], NOW)["2"].over is None
    assert (0, 1_200) == used_and_reserved(store)
    with node.data.begin() as connection:
        of = update(usage_gateways).where(usage_gateways.c.id == "lost")
        connection.execute(of.values(seen=usage_gateways.c.seen - GONE - 1))
    store.work([], NOW)
    assert (600, 600) == used_and_reserved(store)
    lost.work([Settle("1", 1, 1)], NOW)  # it was cut off, and is back: that counted already
    assert (600, 600) == used_and_reserved(store)


def used_and_reserved(store: LimitStore) -> tuple[int, int]:
    """Of the one limit of Ann's."""
    (found,) = store.standings([ANN], NOW)
    with reading(store._engine) as connection:
        return found.used, reserved_for(connection, [ANN])[ANN].money
