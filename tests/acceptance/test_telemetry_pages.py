"""What the operator sees of metrics and errors, on pages and at the terminal."""

from __future__ import annotations

import re
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bailee.registry import load
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.measured import send_day
from support.clients.programs import Bailee, message


@dataclass(frozen=True)
class Day:
    """A server with a day on it, its operator's browser, and how much was sent."""

    bailee: Bailee
    operator: Visitor
    sent: Counter[str]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A server with a day of figures and errors and three exchanges of its own; its operator."""
    bailee = Bailee(tmp_path_factory.mktemp("day"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url)
        sent = send_day(bailee.ready["ingest"], bailee.ready["key"])
        for number in range(3):
            message(bailee.ready, f"turn {number}")
        operator = Visitor(bailee.ready["console"])
        operator.get(bailee.ready["sign_in"])
        yield Day(bailee, operator, sent)
        bailee.close()


@pytest.mark.row("S1")
def test_latency_reliability_and_usage_are_on_one_page(day: Day) -> None:
    """Each as a plot with its words and as a table; in both languages; of any stretch of time."""
    bailee, operator = day.bailee, day.operator

    page = operator.get("/admin/metrics?range=24h&latency=claude_code.api_request")

    assert 200 == page.status
    plots = re.findall(r"<svg class=\"plot wide\".*?</svg>", page.text, re.S)
    titles = [re.search(r"<title id=\"[a-z]+-wide-title\">(.*?)</title>", one) for one in plots]
    assert ["Latency", "Error rate over time", "Sessions", "Tokens", "Models", "Features"] == [
        found[1] for found in titles if found
    ]
    assert "p95: from " in plots[0]
    for tables in ("Latency", "Error rate over time", "Sessions", "Tokens", "Models", "Features"):
        assert f"As a table: {tables}" in page.text
    found = bailee.json("metrics", "summary", "--latency", "claude_code.api_request")
    programs = {one["program"]: one for one in found["reliability"]["programs"]}
    agent = programs["claude-code"]
    good, bad = day.sent["claude_code.api_request"], day.sent["claude_code.api_error"]
    assert (good + bad, bad, bad) == (agent["requests"], agent["errors"], agent["faults"])
    assert f"{100 * bad / (good + bad):.2f} %" in page.text
    assert f"{100 * good / (good + bad):.2f} %" in page.text
    assert good == found["latency"]["whole"]["count"]
    assert day.sent["sessions"] == sum(row["sessions"] for row in found["usage"]["sessions"])
    assert {"Bash", "other"} < {row["feature"] for row in found["usage"]["features"]}
    assert "quince" not in page.text
    assert "可靠性" in operator.get("/admin/metrics?lang=zh&range=30d&view=table").text
    assert 400 == operator.get("/admin/metrics?range=9y").status
    for name in ("no.such", "claude_code.token.usage"):
        assert 404 == operator.get(f"/admin/metrics?latency={name}").status


@pytest.mark.row("S1")
def test_the_gateway_measures_its_own_exchanges(day: Day) -> None:
    """By channel and how they ended; nothing says whose they were."""
    bailee = day.bailee

    (row,) = bailee.json(
        "metrics", "query", "bailee.exchange.duration",
        *("--by", "provider", "--by", "outcome", "--by", "status_class"),
    )["rows"]  # fmt: skip

    assert {"provider": "api", "outcome": "ok", "status_class": "2xx"} == row["group"]
    assert 3 == row["count"]
    assert 0 < row["p50"] < row["p99"]
    names = bailee.json("metrics", "query", "bailee.exchange.duration")["fields"]
    assert not {"account", "key", "plan", "model"} & set(names)


@pytest.mark.row("S1")
def test_any_measure_can_be_looked_at_by_its_fields(day: Day) -> None:
    """Percentiles by model, sums by kind; what is not declared is not found."""
    operator = day.operator

    by_model = operator.get("/admin/metrics/claude_code.api_request?by=model")
    by_type = operator.get("/admin/metrics/claude_code.token.usage?by=type&range=7d")

    assert "claude-opus-4-1: from " in by_model.text
    assert {"input", "output", "cacheRead", "cacheCreation"} <= set(
        re.findall(r"<th scope=\"row\">(\w+)</th>", by_type.text)
    )
    assert 404 == operator.get("/admin/metrics/no.such").status
    # Of each kind, with figures and without; and by a field.
    for name in load().measures:
        for query in ("", "?by=service.name"):
            assert 200 == operator.get(f"/admin/metrics/{name}{query}").status, name
    assert 400 == operator.get("/admin/metrics/claude_code.api_request?by=quince").status


@pytest.mark.row("S1", "S2")
def test_a_client_that_sends_too_much_is_found(day: Day) -> None:
    """By the name of the field, why, how often, and which program sent it; never by a value."""
    operator = day.operator

    page = operator.get("/admin/metrics/dropped").text

    row = next(r for r in re.findall(r"<tr>.*?</tr>", page, re.S) if "<code>prompt</code>" in r)
    assert "what a person wrote" in row
    times = 1 + 2 * (day.sent["claude_code.api_request"] + day.sent["claude_code.api_error"])
    assert f"claude-code (otlp): {times}" in row
    assert "source code" in page
    assert "quince" not in page


@pytest.mark.row("S2")
def test_issues_are_listed_resolved_muted_and_opened_from_their_pages(
    day: Day,
) -> None:
    """With stack, releases and trend; what was decided is on record with who did; a release that
    is none is refused, and an issue that comes again in a later one is open again.
    """
    bailee, operator = day.bailee, day.operator
    listed = operator.get("/admin/errors").text
    issue = next(
        i for i in bailee.json("errors", "list") if i["where"] == "bailee.policy.period.parse"
    )
    address = f"/admin/errors/{issue['id']}"
    page = operator.get(address).text

    assert "bailee.policy.period.parse" in listed
    assert 'aria-label="4 events in 14 days, ' in listed
    assert all(words in page for words in ("<code>parse</code>", "bailee-code@1.2.3", "ValueError"))

    refused = operator.submit(address, address, {"state": "resolved", "release": "quince!"})
    assert 400 == refused.status
    done = operator.submit(address, address, {"state": "resolved", "release": "bailee-code@2.0"})
    assert "Said to be fixed in bailee-code@2.0" in done.text
    assert issue["id"] not in operator.get("/admin/errors").text
    assert issue["id"] in operator.get("/admin/errors?state=resolved").text
    send_day(bailee.ready["ingest"], bailee.ready["key"], hours=0)
    assert "resolved" == bailee.json("errors", "show", issue["id"])["state"]

    operator.submit(address, address, {"state": "resolved"})
    send_day(bailee.ready["ingest"], bailee.ready["key"], hours=0)
    assert "came back" in operator.get("/admin/errors").text
    operator.submit(address, address, {"state": "muted"})
    assert "muted" == bailee.json("errors", "show", issue["id"])["state"]
    operator.submit(address, address, {"state": "open"})
    changes = bailee.json("audit", "list", "--kind", "error_issue.changed")
    assert ["resolved", "resolved", "muted", "open"] == [leaf["body"]["state"] for leaf in changes]
    assert {"operator"} == {leaf["body"]["by"] for leaf in changes}
    assert 404 == operator.get("/admin/errors/0123456789abcdef").status


def _exchanges(folder: Path, **env: str) -> list[Any]:
    """What a server with these variables has of its own exchanges, after one that was refused."""
    folder.mkdir()
    bailee = Bailee(folder)
    bailee.up("--upstream", "http://127.0.0.1:9", env=env)
    try:
        with pytest.raises(urllib.error.HTTPError):
            message(bailee.ready, "hello")
        rows: list[Any] = bailee.json(
            "metrics", "query", "bailee.exchange.duration",
            *("--by", "outcome", "--by", "error_type", "--by", "status_class"),
        )["rows"]  # fmt: skip
        summary = bailee.json("metrics", "summary")["reliability"]["programs"]
        bailee.stop()
        return [*(row["group"] for row in rows), *summary]
    finally:
        bailee.close()


@pytest.mark.row("S1", "S4", "S5")
def test_the_switches_turn_off_the_servers_own_measuring(tmp_path: Path) -> None:
    """Any value counts, as for a client; without one, a failure is there to see, and the service's
    fault. The other switches and the setting: `tests/integration/telemetry/test_measuring.py`.
    """
    failed, program = _exchanges(tmp_path / "on")

    assert {"outcome": "error", "error_type": "api_error", "status_class": "5xx"} == failed
    assert (1, 1, 0.0) == (program["requests"], program["faults"], program["availability"])
    assert [] == _exchanges(tmp_path / "off", DISABLE_TELEMETRY="0")
