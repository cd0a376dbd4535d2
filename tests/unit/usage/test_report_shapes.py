"""Reports in the vendor's shape: which buckets there are, page by page, and what is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.usage.analytics_shapes import CostRow, behind, cost_rows, cost_span, place_of
from bailee.usage.counts import UsageRow
from bailee.usage.report_shapes import (
    DAY,
    HOUR,
    PAGES,
    cents,
    cost_results,
    report,
    span_of,
    use_results,
)

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


def row(model: str, channel: str = "api", person: str = "per_1", money: int = 11_000) -> UsageRow:
    """What was counted of one hour."""
    group = {"model": model, "channel": channel, "person": person, "key": "key_1"}
    return UsageRow(group, 1, 0, 0, 0, 0, 1000, 2000, 10, 20, 30, 0, money, 0, 0, 0)


@given(
    st.sampled_from([HOUR, DAY]),
    st.integers(0, 400 * 24),
    st.integers(0, 60),
    st.integers(1, 31),
)
def test_pages_together_are_every_bucket_once(
    width: timedelta, hours: int, more: int, limit: int
) -> None:
    """In order, and without a hole, whatever is asked for."""
    start = NOW - timedelta(hours=hours)
    end = min(NOW, start + timedelta(hours=more * (1 if width == HOUR else 24)))
    given = {"starting": start.isoformat(), "ending": end.isoformat(), "limit": str(limit)}
    found: list[datetime] = []
    page: str | None = None
    while True:
        span = span_of(width, NOW, page=page, **given)
        assert len(span.starts) <= limit <= PAGES[HOUR][1]
        found += span.starts
        page = span.next_page
        if page is None:
            break
    first = start.replace(minute=0, second=0, microsecond=0)
    if width == DAY:
        first = first.replace(hour=0)
    expected = []
    while first < end:
        expected.append(first)
        first += width
    assert expected == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"starting": None}, {"starting": "yesterday"}, {"starting": "1"}, {"ending": "x"},
        {"limit": "0"}, {"limit": "32"}, {"limit": "x"}, {"page": "x"},
        {"page": "page_2026-11-01T05:00:00Z"}, {"page": "page_2020-11-01T00:00:00Z"},
        {"starting": "9999-12-31T23:59:59-12:00"},
    ],
)  # fmt: skip
def test_what_is_no_span_is_refused(wrong: dict[str, str | None]) -> None:
    """A report of something else is not given in its place."""
    given = {"starting": "2026-11-01", "ending": None, "page": None, "limit": None}
    with pytest.raises(InputError):
        span_of(DAY, NOW, **(given | wrong))


def test_there_is_no_report_of_what_is_to_come() -> None:
    """However far the end is: nobody turns empty pages for ever."""
    given = {"page": None, "limit": None, "ending": "8000-01-01T00:00:00Z"}
    span = span_of(DAY, NOW, starting="2026-11-28T00:00:00Z", **given)
    assert (3, None) == (len(span.starts), span.next_page)


def test_results_are_what_they_are_grouped_by() -> None:
    """All else is null; a batch is a tier; cents are exact."""
    rows = [row("m"), row("m", person="per_2"), row("m", "api/batch"), row("n", money=0)]
    (one,) = use_results(rows, [])
    assert (4000, 8000, 40) == (
        one["uncached_input_tokens"], one["output_tokens"], one["cache_read_input_tokens"],
    )  # fmt: skip
    assert {"ephemeral_1h_input_tokens": 120, "ephemeral_5m_input_tokens": 80} == (
        one["cache_creation"]
    )
    assert {None} == {one[name] for name in ("model", "account_id", "workspace_id")}
    by = use_results(rows, ["model", "service_tier"])
    assert [("m", "batch", 2000), ("m", "standard", 4000), ("n", "standard", 2000)] == [
        (each["model"], each["service_tier"], each["output_tokens"]) for each in by
    ]
    (whole,) = cost_results(rows, described=False)
    assert ("3.3", None) == (whole["amount"], whole["description"])
    assert [("1.1", "m usage, batch"), ("2.2", "m usage, standard")] == [
        (each["amount"], each["description"]) for each in cost_results(rows, described=True)
    ]
    assert ["0", "0.0001", "100", "1234567.8901"] == [
        cents(micro) for micro in (0, 1, 1_000_000, 12_345_678_901)
    ]


def test_a_bucket_without_use_is_there() -> None:
    """So that who adds up days has each of them."""
    given = {"page": None, "limit": None, "ending": None}
    span = span_of(DAY, NOW, starting="2026-11-28T00:00:00Z", **given)
    shown = report(span, {span.starts[1]: use_results([row("m")], ["model"])})
    assert isinstance(shown["data"], list)
    assert [0, 1] == [len(one["results"]) for one in shown["data"]]  # type: ignore[index, arg-type, call-overload]
    assert (False, None) == (shown["has_more"], shown["next_page"])


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3), st.text(max_size=3))))
def test_a_page_of_costs_goes_on_where_the_one_before_ended(
    given: list[tuple[int, str, str]],
) -> None:
    """Whatever groups are called; each row stands on one page."""
    span = cost_span("2026-11-25T00:00:00Z", None, "1d", NOW)
    counts = [
        UsageRow(
            {"day": f"2026-11-{25 + day}", "person": person, "model": model},
            1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0,
        )
        for day, person, model in given
    ]  # fmt: skip
    rows = cost_rows(counts, ["actor", "model"], span)
    assert 100 * len(given) == sum(one.money for one in rows)
    found: list[CostRow] = []
    page: str | None = None
    while some := behind(rows, page)[:2]:
        found += some
        page = place_of(some[-1])
    assert rows == found


@pytest.mark.parametrize(
    "page", ["x", "", "W10=", "bnVsbA==", "\u00e9", "WzEsMl0=", "W1tdLFtdXQ=="]
)
def test_what_is_no_place_is_refused(page: str) -> None:
    """And nobody begins again without noticing."""
    with pytest.raises(InputError):
        behind([], page)


def test_days_of_costs_are_whole() -> None:
    """From the beginning of the first to the end of the last."""
    span = cost_span("2026-11-25T13:00:00Z", "2026-11-27T00:00:00Z", None, NOW)
    assert (datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)) == span[:2]
    assert datetime(2026, 11, 30, tzinfo=UTC) == cost_span("2026-11-28", None, None, NOW).end
