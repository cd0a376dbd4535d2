"""Prices, models, what a request asks, and whether it is within limits: pure.

Rows: O2.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.api import Api
from bailee.apis.using import Tokens
from bailee.errors import InputError
from bailee.usage.asked import AskedOf, asked_of
from bailee.usage.client_shapes import oauth_usage, refusal, store_away, warning_lines
from bailee.usage.limits import (
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    OverLimit,
    Scope,
    Subject,
    UnderWay,
    UsageLimit,
    Used,
    WantedUse,
    Window,
    over,
    window_of,
)
from bailee.usage.models import is_listed, model_of
from bailee.usage.price_file import read_prices
from bailee.usage.prices import parse_prices

NOW = datetime(2026, 11, 29, 12, 30, 15, tzinfo=UTC)  # a Sunday
ANN = Subject(Scope.PERSON, "per_1")


@pytest.mark.parametrize(
    ("model_id", "model"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("claude-opus-4-7[1m]", "claude-opus-4-7"),
        ("gpt-4.1", "gpt-4.1"),
    ],
)
def test_an_id_means_a_model(model_id: str, model: str) -> None:
    """Dates, regions and versions of one model are that model."""
    assert model == model_of(model_id)
    assert is_listed(model_id, [model]) and is_listed(model, [model_id])
    assert not is_listed(model_id, ["claude-sonnet-4-5"]) and is_listed(model_id, [model[:5] + "*"])


@given(st.text(max_size=300))
def test_any_id_is_read(model_id: str) -> None:
    """And stays the same when it is read again."""
    assert model_of(model_of(model_id)) == model_of(model_of(model_of(model_id)))


def test_what_is_not_in_the_table_has_no_cost() -> None:
    """Unknown is not nothing; and a cost is a whole number, rounded up once."""
    shipped = read_prices()
    assert shipped.cost("no-such-model", Tokens(1000, 1000)) is None
    assert shipped.source and shipped.as_of
    assert 1 == shipped.cost("claude-haiku-4-5-20251001", Tokens(cache_read=1))
    assert 6_000_000 == shipped.cost("claude-haiku-4-5", Tokens(1_000_000, 1_000_000))


@pytest.mark.parametrize(
    "text",
    [
        'm = { input = 0.3, output = "1" }', 'm = { input = "x", output = "1" }',
        'm = { input = "1" }', 'm = { input = "-1", output = "1" }',
        'm = { input = "0.0000001", output = "1" }', 'm = { input = "1", output = "1", out = "1" }',
    ],
)  # fmt: skip
def test_a_wrong_price_is_refused(text: str) -> None:
    """A float, a word, a negative one, one too fine, an unknown kind."""
    with pytest.raises(InputError) as refused:
        parse_prices(f"[models]\n{text}", "own.toml")
    assert "own.toml" in refused.value.message


@pytest.mark.parametrize(
    ("api", "target", "body", "expected"),
    [
        (Api.MESSAGES, "/v1/messages", {"model": "a", "max_tokens": 5}, (("a",), 5)),
        (Api.MESSAGES, "/model/eu.b-v1%3A0/invoke", {"max_tokens": 5}, (("eu.b-v1:0",), 5)),
        (Api.GEMINI, "/v1beta/models/g:generateContent", {"contents": []}, (("g",), 32_000)),
        (Api.MESSAGES, "/v1/messages",
         {"model": "a", "fallbacks": [{"model": "b"}], "max_tokens": 1}, (("a", "b"), 1)),
        (Api.CHAT, "/v1/chat/completions", {"model": "c", "max_completion_tokens": 7}, (("c",), 7)),
    ],
)  # fmt: skip
def test_what_a_request_asks_is_read(
    api: Api, target: str, body: object, expected: tuple[tuple[str, ...], int]
) -> None:
    """From the body or the path, fallbacks included."""
    found = asked_of(api, target, orjson.dumps(body), "")
    assert expected == (found.models, found.out)


@pytest.mark.parametrize("body", [b'{"model":"a","model":"b"}', b"no json", b"[" * 5000])
def test_what_can_be_read_in_two_ways_names_no_model(body: bytes) -> None:
    """So that no list allows it."""
    assert () == asked_of(Api.MESSAGES, "/v1/messages", body, "").models


def limit(
    amount: int, measure: LimitMeasure = LimitMeasure.MONEY, span: LimitSpan = LimitSpan.DAY
) -> UsageLimit:
    """A limit of Ann's."""
    return UsageLimit("l", ANN, measure, span, amount)


def window(span: LimitSpan = LimitSpan.DAY) -> Window:
    """Ann's window."""
    return Window(ANN, span, int(window_of(span, NOW)[0].timestamp()))


@given(
    costs=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=60),
    amount=st.integers(0, 200),
    ends=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_a_limit_is_gone_over_by_one_request_at_the_most(
    costs: list[tuple[int, int]], amount: int, ends: list[bool]
) -> None:
    """Whatever is under way at once: each request uses no more than it may, and may use `most`."""
    used, running, greatest = 0, [], 0
    for (most, part), ending in zip(costs, ends, strict=False):
        reserved = UnderWay(len(running), 0, sum(m for m, _ in running))
        found = over(
            [limit(amount)], {window(): Used(money=used)}, {ANN: reserved}, WantedUse(0, most), NOW
        )
        if found is None:
            running.append((most, min(part, most)))
            greatest = max(greatest, most)
        elif used >= amount:
            assert not found.waits
        if ending and running:
            used += running.pop(0)[1]
    assert used + sum(cost for _, cost in running) <= amount + greatest


def test_the_limit_that_lasts_longest_is_told() -> None:
    """Nobody waits for a minute and is then told of a month."""
    limits = [
        limit(1, LimitMeasure.REQUESTS, LimitSpan.MINUTE),
        limit(1, LimitMeasure.REQUESTS, LimitSpan.MONTH),
    ]
    used = {window(LimitSpan.MINUTE): Used(5), window(LimitSpan.MONTH): Used(5)}
    found = over(limits, used, {}, WantedUse(0, 0), NOW)
    assert found is not None and LimitSpan.MONTH is found.standing.limit.span


def test_windows_begin_where_people_expect() -> None:
    """In UTC: a week on Monday, a month on the first."""
    starts = {span: window_of(span, NOW) for span in LimitSpan}
    assert datetime(2026, 11, 23, tzinfo=UTC) == starts[LimitSpan.WEEK][0]
    assert (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)) == starts[
        LimitSpan.MONTH
    ]
    assert datetime(2026, 11, 29, 12, 30, tzinfo=UTC) == starts[LimitSpan.MINUTE][0]


def standing(
    used: int, span: LimitSpan = LimitSpan.DAY, measure: LimitMeasure = LimitMeasure.MONEY
) -> LimitStanding:
    """How Ann stands with two dollars."""
    return LimitStanding(limit(2_000_000, measure, span), used, window_of(span, NOW)[1])


@pytest.mark.parametrize(
    ("used", "status", "threshold"),
    [(1_000_000, b"allowed\r\n", None), (1_500_000, b"allowed_warning", b"0.75"),
     (1_900_000, b"allowed_warning", b"0.95")],
)  # fmt: skip
def test_a_client_is_warned_at_its_thresholds(
    used: int, status: bytes, threshold: bytes | None
) -> None:
    """In the fields that it makes its own words of."""
    lines = warning_lines([standing(used)])
    assert b"anthropic-ratelimit-unified-status: " + status in lines
    assert b"representative-claim: overage" in lines and b"overage-reset: 1795996800" in lines
    passed = b"overage-surpassed-threshold: " + (threshold or b"")
    assert (threshold is not None) is (passed in lines)
    assert b"" == warning_lines([standing(used, measure=LimitMeasure.TOKENS)])


def test_a_refusal_says_when_it_ends() -> None:
    """A day's is final for the client, a minute's is waited for, and one under way is busy."""
    day = refusal(OverLimit(standing(3_000_000), False), NOW, "https://a.b")
    assert "spend limit reached · resets Nov 30 · ask for more at https://a.b" == day.error.message
    assert b"x-should-retry: false" in day.lines and b"overage-period: daily" in day.lines
    assert b"retry-after: 41386\r\n" in day.lines and b"representative-claim" not in day.lines
    assert b"overage-utilization: 1.5\r\n" in day.lines
    minute = refusal(OverLimit(standing(1, LimitSpan.MINUTE, LimitMeasure.TOKENS), False), NOW)
    assert ("usage_rate", b"retry-after: 46\r\n") == (minute.error.code, minute.lines)
    assert "over_share" == refusal(OverLimit(standing(1), True), NOW).error.code
    assert b"fetch_error" in store_away().lines


def test_a_pool_that_is_used_up_is_the_groups() -> None:
    """In the vendor's sentence, and by the field by which clients tell it from the person's own
    limit; nobody is warned of what others used, or shown it as theirs.
    """
    own = standing(1_000_000, LimitSpan.MONTH)
    pool = replace(own, limit=replace(own.limit, subject=Subject(Scope.POOL, "org_1/apps")))
    told = refusal(OverLimit(replace(pool, used=3_000_000), False), NOW)
    assert (
        "This request exceeds your group's budget. Ask your organization's admins to raise it, or"
        " try again after it resets on December 1 at 00:00 UTC." == told.error.message
    )
    assert b"overage-period: monthly\r\n" in told.lines
    assert b"overage-scope: group_pool\r\n" in told.lines
    asks = refusal(OverLimit(pool, False), NOW, "https://a.b").error.message
    assert asks.endswith("at 00:00 UTC · ask for more at https://a.b")
    assert b"overage-scope" not in refusal(OverLimit(own, False), NOW).lines
    assert b"" == warning_lines([pool]) and [] == oauth_usage([pool], (0, 0, 0))["limits"]


def test_the_document_of_usage_is_the_vendors() -> None:
    """In cents, with a limit and without."""
    told = oauth_usage([standing(1_600_000)], (0, 0, 0))
    assert told == {
        "extra_usage": {
            "is_enabled": True, "monthly_limit": 200, "used_credits": 160, "utilization": 80,
            "currency": "USD",
        },
        "limits": [{
            "kind": "spend", "group": "daily", "percent": 80,
            "resets_at": "2026-11-30T00:00:00.000Z", "severity": "warning", "is_active": True,
        }],
    }  # fmt: skip
    free = oauth_usage([], (12_400_000, 52_400_000, 271_400_000))
    assert [] == free["limits"]
    assert {
        "daily": 1240,
        "weekly": 5240,
        "used_credits": 27140,
        "monthly_limit": None,
    }.items() <= dict(
        free["extra_usage"]  # type: ignore[call-overload]
    ).items()


def test_a_body_of_any_size_has_an_upper_bound() -> None:
    """Two bytes a token, and what it says for the answer."""
    body = orjson.dumps({"model": "m", "max_tokens": 10, "messages": ["x" * 1000]})
    assert AskedOf(("m",), len(body) // 2, 10) == asked_of(Api.MESSAGES, "/v1/messages", body, "")
