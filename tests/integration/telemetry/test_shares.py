"""An account has its share of what may come in and rest; over it, it waits alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from bailee.errors import StorageError
from bailee.ingest.door import DoorLimits
from bailee.ingest.shares import ReceivedCounts, Share, Standing
from bailee.telemetry.records import ERROR, METRIC, DataClass
from support.homes.telemetry_bench import Bench, Site

from .test_limits import counter

pytestmark = pytest.mark.row("S2", "G1")
EVENT = b'{}\n{"type":"event"}\n{"exception":{"values":[{"type":"ValueError"}]}}'
SENTRY = {"x_sentry_auth": "Sentry sentry_key=ada"}


def statuses(
    bench: Bench, shares: Mapping[DataClass, Share], *rounds: str, points: int = 100
) -> list[int]:
    """What is answered to so many points of these accounts, one after the other."""
    site = Site(bench, DoorLimits(), shares)
    try:
        return [site.post("/v1/metrics", counter(points), key=key)[0] for key in rounds]
    finally:
        site.close()


def test_who_sent_as_much_as_a_day_takes_waits_until_the_next(bench: Bench) -> None:
    """429 for that account alone, until midnight (UTC); also over a restart. Errors have a share
    of their own.
    """
    few = {METRIC: Share(items=150)}
    site = Site(bench, DoorLimits(), few)
    taken = [site.post("/v1/metrics", counter(100))[0] for _ in range(3)]
    status, headers, content = site.post("/v1/metrics", counter())
    others = [
        site.post("/v1/metrics", counter(), key="bob")[0],
        site.post("/api/1/envelope/", EVENT, **SENTRY)[0],
    ]
    site.close()

    assert ([200, 200, 429], 429, [200, 200]) == (taken, status, others)
    assert str(12 * 3600) == headers["retry-after"]
    assert b"operator" in content
    bench.close()
    bench.open()
    assert [429, 200] == statuses(bench, few, "ada", "bob")
    bench.clock.advance(timedelta(hours=12))
    assert [200] == statuses(bench, few, "ada")


def test_an_error_over_the_days_share_is_told_so_in_sentrys_words(bench: Bench) -> None:
    """Sentry's own header says how long, and its SDKs send nothing meanwhile."""
    site = Site(bench, DoorLimits(), {ERROR: Share(items=1)})
    first = site.post("/api/1/envelope/", EVENT, **SENTRY)[0]
    status, headers, _ = site.post("/api/1/envelope/", EVENT, **SENTRY)
    site.close()

    assert (200, 429) == (first, status)
    assert f"{12 * 3600}::organization" == headers["x-sentry-rate-limits"]


def test_what_rests_of_an_account_is_bounded_and_goes_with_its_time(bench: Bench) -> None:
    """As it came at first; as it lies there once it is compacted; and when that is destroyed it
    counts for nobody.
    """
    bench.telemetry.sweep(bench.clock())  # as a server does before it is ready
    little = {METRIC: Share(bytes=150_000)}
    sent = statuses(bench, little, *["ada"] * 3, "bob", points=1000)
    assert [200, 200, 429, 200] == sent
    came = bench.telemetry.on_disk("ada")
    bench.telemetry.sweep(bench.clock())
    lies = bench.telemetry.on_disk("ada")

    assert 0 < lies < came
    together = sum(one.bytes for one in bench.telemetry._days.holdings(bench.clock()))
    assert together - 2 <= lies + bench.telemetry.on_disk("bob") <= together
    assert [200] == statuses(bench, little, "ada")
    bench.clock.advance(timedelta(days=31))
    bench.telemetry.sweep(bench.clock())
    assert 0 == bench.telemetry.on_disk("ada")


def test_counts_outlive_a_failure_and_go_with_their_account(bench: Bench) -> None:
    """What can't be written now is at the next sweep, once; of who is gone nothing is left."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    resting: dict[str, int] = {}
    counts = ReceivedCounts(bench.engine, "metric", now, lambda: resting)
    counts.look(now)
    counts.add("ada", Standing(3, 300), now, now + timedelta(days=1), "P1D")
    bench.engine.dispose()
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE received RENAME TO elsewhere")
    with pytest.raises(StorageError):
        counts.look(now)
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO received")
    resting["ada"] = 40
    counts.look(now)
    again = ReceivedCounts(bench.engine, "metric", now, lambda: resting)

    asked: list[object] = []
    event.listen(bench.engine, "before_cursor_execute", lambda *one: asked.append(one))
    assert (Standing(3, 0), []) == (again.of("ada", now), asked)  # on the event loop
    assert 40 == again.rests("ada", now)
    assert Standing(3, 40) == counts.of("ada", now) == again.of("ada", now)
    counts.forget("ada")
    resting.clear()
    assert Standing() == counts.of("ada", now)
    assert Standing() == ReceivedCounts(bench.engine, "metric", now, lambda: resting).of("ada", now)
