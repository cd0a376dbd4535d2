"""What batches used is counted once, at half the price, by who fetched it, and held against limits;
who has nothing left has none made.

Rows: O2.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bailee.api import Api
from bailee.apis.batch_results import BatchUse, ResultsOfModel
from bailee.apis.metering import Metered
from bailee.apis.using import Tokens
from bailee.app.using import UsageMetering, asker_of, home_of
from bailee.db.usage import usage_batches
from bailee.gateway.summary import ExchangeSummary
from bailee.home import Home
from bailee.node import Node
from bailee.usage.asking import WholeRequest
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.counts import CountedUse, UsageCounts
from support.clients import asking

pytestmark = [pytest.mark.both_databases, pytest.mark.row("O2")]
NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
HAIKU, ODD = "claude-haiku-4-5-20251001", "nobody-has-this"


def results(requests: int, model: str = HAIKU) -> ResultsOfModel:
    """Of so many requests, each of which used the same."""
    each = Tokens(1000, 2000)
    tokens = Tokens(*(one * requests for one in each))
    return ResultsOfModel(model, requests, 0, 0, tokens)


class Place:
    """A home with Mia, and what counts there."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.open(Home(folder / "home"), clock=lambda: NOW)
        self.mia = self.ask("person.create", email="mia@x.example", plan="team")
        self.metering = UsageMetering(home_of(self.node))

    def ask(self, operation: str, **values: object) -> Any:
        """What the operator asks."""
        return asking.perform(self.node, operation, values)

    def fetched(
        self,
        *models: ResultsOfModel,
        batch: str | None = "one",
        key: str | None = None,
        **more: Any,
    ) -> None:
        """She fetches results of a batch that say this; None: of no batch."""
        found = self.node.accounts.authenticate((key or self.mia["key"]).encode())
        assert found is not None
        over = ExchangeSummary(
            "req_1", NOW.timestamp(), 1.5, self.mia["account"], found[0].key_id, "k", "pro", "api",
            "GET", "/v1/messages/batches/*/results", 200, "complete", 10, 20, None, "", "",
            client="other", batch=None if batch is None else BatchUse(batch, models),
        )  # fmt: skip
        self.metering.exchange(replace(over, **more))
        self.metering.counting.write()

    def makes(self, *, own: bool = False, batch: bool = True) -> tuple[str, str]:
        """What becomes of her having a batch made, or else of a conversation that goes on: why it
        is refused (a code), and what is said.
        """
        found = self.node.accounts.authenticate(self.mia["key"].encode())
        assert found is not None
        asker, governing = asker_of(*found), self.metering.governing
        if not governing.governs(asker):
            return "", "ungoverned"
        body = json.dumps({"requests": [{"custom_id": "c", "params": {"model": HAIKU}}]}).encode()
        path = "/v1/messages/batches"
        if not batch:
            path, body = "/v1/messages", json.dumps({"model": HAIKU, "messages": []}).encode()
        name = "req_b" if batch else "req_c"
        request = WholeRequest(name, asker, Api.MESSAGES, path, body, "", own=own)
        answer = asyncio.run(governing.admit(request))
        if batch:
            governing.settle(name, None)
        if isinstance(answer, LimitRefusal):
            return answer.error.code, answer.error.message
        return "", answer.decode()

    def counted(self, *by: str) -> dict[str, tuple[int, int, int]]:
        """Requests, tokens out and cost, by what they are asked by."""
        rows = self.ask("usage.show", by=list(by))["rows"]
        return {
            "/".join(row["group"].values()): (
                row["requests"], row["output_tokens"], row["cost_micro_usd"],
            )
            for row in rows
        }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own."""
    made = Place(tmp_path)
    yield made
    made.node.close()


def test_each_result_counts_once_at_half_the_price(place: Place) -> None:
    """However often, and in which parts, results are fetched; another batch counts by itself."""
    whole = results(4)
    place.fetched(results(1))  # it broke off
    assert {"api/batch": (1, 2000, 5_500)} == place.counted("channel")
    place.fetched(whole)
    place.fetched(results(2))  # a part again
    place.fetched(whole)
    # 1000 x 1 + 2000 x 5 micro-dollars, halved, four times
    assert {"claude-haiku-4-5": (4, 8000, 22_000)} == place.counted("model")
    place.fetched(results(1), batch="two")
    place.fetched(results(1, ODD), batch="two")
    assert {
        "claude-haiku-4-5": (5, 10_000, 27_500), ODD: (1, 2000, 0),
    } == place.counted("model")  # fmt: skip
    (row,) = place.ask("usage.show", by=["person"])["rows"]
    assert (place.mia["person"], 1) == (row["group"]["person"], row["unpriced"])


def test_what_a_batch_took_is_not_known_and_lowers_no_mean(place: Place) -> None:
    """Of a conversation and a batch together the mean is the conversation's; of a batch alone it is
    none.
    """
    conversed = Metered(Tokens(1000, 2000), HAIKU, estimated=False)
    place.fetched(results(9))
    assert [0] == [row["mean_ms"] for row in place.ask("usage.show")["rows"]]
    place.fetched(batch=None, conversation=True, metered=conversed)
    place.fetched(batch=None, conversation=True, metered=conversed, seconds=2.5)
    rows = place.ask("usage.show", by=["person"])["rows"]
    assert [(11, 2_000, 2_500)] == [
        (row["requests"], row["mean_ms"], row["slowest_ms"]) for row in rows
    ]
    by_channel = {
        row["group"]["channel"]: row["mean_ms"]
        for row in place.ask("usage.show", by=["channel"])["rows"]
    }
    assert {"api": 2_000, "api/batch": 0} == by_channel


def test_of_zero_retention_counts_alone(place: Place) -> None:
    """Of a model that is in no table not even its name."""
    zero = place.ask("key.create", account=place.mia["account"], name="z", zero_retention=True)[
        "key"
    ]
    place.fetched(results(1), results(1, ODD), key=zero)
    assert {"claude-haiku-4-5", "other"} == place.counted("model").keys()


def test_what_a_client_paid_itself_costs_nothing_here(place: Place) -> None:
    """On a credential of its own it is counted, without a price."""
    place.fetched(results(3), own=True)
    assert {"api/batch": (3, 6000, 0)} == place.counted("channel")


def test_many_gateways_count_a_batch_once(place: Place) -> None:
    """They fetch it at a time, and add it up in one database."""
    use = BatchUse("one", (results(5), results(2, ODD)))
    until = NOW + timedelta(days=1)

    def count(number: int) -> int:
        counts = UsageCounts(place.node.data, f"gateway {number}")
        new = counts.add_results(use, until, lambda one: _row(place, one))
        return sum(one.requests for one in new)

    with ThreadPoolExecutor(4) as threads:
        assert 7 == sum(threads.map(count, range(8)))


def _row(place: Place, one: ResultsOfModel) -> CountedUse:
    """As it is counted."""
    amounts = (one.requests, 0, 0, 0, 0, 0, *one.tokens, 0, 0)
    hour = int(NOW.timestamp()) // 3600 * 3600
    return CountedUse(
        hour, place.mia["account"], "", "", "", "", "", one.model, "api/batch", "", False,
        hour + 86400, amounts, 0,
    )  # fmt: skip


def test_a_batch_counts_against_limits(place: Place) -> None:
    """Nothing was reserved for it: it is held against the next, once."""
    place.ask("usage.limit", measure="money", amount=20_000, per="day", of=place.mia["person"])
    place.ask("usage.limit", measure="requests", amount=100, per="day", of=place.mia["person"])
    place.metering.start()
    place.fetched(results(2))
    place.fetched(results(3))
    place.metering.stop()
    used = {one["measure"]: one["used"] for one in place.ask("usage.limits")}
    assert {"money": 16_500, "requests": 0} == used


@pytest.mark.parametrize(
    ("measure", "amount", "said"),
    [("money", 11_000, "spend limit reached"), ("tokens", 6_000, "token limit reached")],
)
def test_who_has_nothing_left_makes_no_batch(
    place: Place, measure: str, amount: int, said: str
) -> None:
    """Of money or of tokens; while anything is left they do, and nothing is reserved for it."""
    place.ask("usage.limit", measure=measure, amount=amount, per="day", of=place.mia["person"])
    place.metering.start()
    place.fetched(results(1))
    code, warned = place.makes()
    assert "" == code
    assert (measure == "money") == ("anthropic-ratelimit-unified-status: allowed\r\n" in warned)
    place.fetched(results(2))
    code, why = place.makes()
    assert ("usage_limit", True) == (code, why.startswith(said))
    assert "" == place.makes(own=True)[0]  # on their own credential, under no limit
    place.metering.stop()
    (limit,) = place.ask("usage.limits")
    assert amount <= limit["used"]


def test_a_limit_on_requests_or_on_how_many_at_once_is_of_requests_here(place: Place) -> None:
    """A batch counts to neither, however many are made, and is made when all of both is used."""
    for measure, per in (("requests", {"per": "day"}), ("concurrency", {})):
        place.ask("usage.limit", measure=measure, amount=1, of=place.mia["person"], **per)
    place.metering.start()
    assert [("", "")] * 3 == [place.makes() for _ in range(3)]
    assert [0, 0] == [one["used"] for one in place.ask("usage.limits")]
    assert ["", "usage_limit"] == [place.makes(batch=False)[0] for _ in range(2)]
    assert ("", "") == place.makes()
    place.metering.stop()
    assert [1, 1] == [one["used"] for one in place.ask("usage.limits")]


def test_the_note_goes_with_the_counts(place: Place) -> None:
    """It names nobody, and has its time."""
    place.fetched(results(2))

    def notes() -> int:
        with place.node.data.begin() as connection:
            return connection.execute(select(func.count()).select_from(usage_batches)).scalar_one()

    place.node.usage.sweep(NOW + timedelta(days=300))
    assert 1 == notes()
    place.node.usage.sweep(NOW + timedelta(days=500))
    assert 0 == notes()
