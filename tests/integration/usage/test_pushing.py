"""What is used is sent to a collector of the operator's: a real one's reader, over HTTP.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.app.usage_pushing import UsagePush, usage_push
from bailee.auditing.sinks import NotTaken
from bailee.config import load
from bailee.db.usage import SUMS
from bailee.errors import InputError
from bailee.home import Home
from bailee.node import Node
from bailee.usage.counts import CountedUse
from support.servers.metrics_collector import Collector

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """One that takes everything."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A home in which two requests were counted yesterday, and three today."""
    with Node.open(Home(tmp_path / "home"), clock=lambda: NOW) as node:
        until = int((NOW + timedelta(days=90)).timestamp())
        for day, requests in ((1, 2), (0, 3)):
            hour = int((NOW - timedelta(days=day)).replace(minute=0).timestamp())
            amounts = tuple(requests if name == "requests" else 0 for name in SUMS)
            node.usage.add(
                [
                    CountedUse(
                        hour, "acc_1", "per_1", "org_1", "apps", "key_1", "cli", "m", "api", "",
                        False, until, amounts, 0,
                    )
                ]
            )  # fmt: skip
        yield node


def pushing(node: Node, url: str, said: list[str], **more: object) -> UsagePush:
    """A push to this address."""
    return UsagePush(node.usage, node.clock, url, said.append, **more)  # type: ignore[arg-type]


def test_a_days_sums_are_sent_and_again(node: Node, collector: Collector, tmp_path: Path) -> None:
    """By whom and which model, from when; with a token from its file. In a day's first hour the
    last one's as well, whole.
    """
    token = tmp_path / "token"
    token.write_text("pears\n")
    push = pushing(node, collector.url + "/", [], token=token)
    today = NOW.replace(hour=0, minute=0)
    group = {
        "bailee.organisation": "org_1", "bailee.team": "org_1/apps", "user.id": "per_1",
        "gen_ai.request.model": "m",
    }  # fmt: skip
    push.send(NOW)
    push.send(NOW)
    assert {("/v1/metrics", "Bearer pears")} == {one[:2] for one in collector.asked}
    assert [(group, today, 3)] * 2 == collector.sums()
    collector.asked.clear()
    push.send(today + timedelta(minutes=10))
    assert [(today - timedelta(days=1), 2), (today, 3)] == [one[1:] for one in collector.sums()]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b"pears"), (302, b""), (200, b'{"partialSuccess": {"rejectedDataPoints": "2"}}')],
)
def test_what_is_not_taken_is_no_success(
    node: Node, collector: Collector, status: int, answer: bytes
) -> None:
    """Nor is a redirect followed, nor what was answered repeated."""
    collector.status, collector.answer = status, answer
    with pytest.raises(NotTaken) as refused:
        pushing(node, collector.url, []).send(NOW)
    assert "pears" not in str(refused.value)
    assert 1 == len(collector.asked)


def test_it_goes_on_and_says_once_what_is_wrong(node: Node, collector: Collector) -> None:
    """Of a collector that is away; when it is there again, it gets what it missed."""
    said: list[str] = []
    collector.status = 503
    push = pushing(node, collector.url, said, every=0.01)
    push.start()
    try:
        for _ in range(3):
            assert collector.came.wait(60)
            collector.came.clear()
        collector.status = 200
        collector.asked.clear()
        collector.came.clear()
        assert collector.came.wait(60)
    finally:
        push.stop()
    assert 3 == collector.sums()[-1][2]
    assert [f"usage can't be sent to {collector.url}: it answered 503"] == said


def test_nothing_is_sent_unless_a_collector_is_named(node: Node) -> None:
    """And an address that would be read on the way stops a start."""
    none = load(node.home.path / "none.toml", {}, {})
    assert usage_push(node.usage, none, node.clock, print) is None
    wrong = load(node.home.path / "none.toml", {}, {"usage.otlp": "http://collector.example:4318"})
    with pytest.raises(InputError, match="plain HTTP to another machine"):
        usage_push(node.usage, wrong, node.clock, print)
