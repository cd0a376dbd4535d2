"""What the server measures of itself: added up, on the policy's terms, of nobody."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from bailee import config
from bailee.app.measuring import (
    BOUNDS,
    Defects,
    MeasuredTerms,
    Own,
    ending,
    measured_channels,
    reports_errors,
)
from bailee.errors import InputError
from bailee.gateway.summary import ExchangeSummary
from bailee.policy import load
from bailee.policy.period import parse
from support.homes.telemetry_bench import Bench

POLICY = load()
ALL = {"api", "bedrock", "vertex", "openai", "google", "azure", "foundry"}


def exchange(
    status: int = 200,
    outcome: str = "complete",
    error: str = "",
    *,
    owner: str = "acc_quince",
    key: str = "quince",
    channel: str = "api",
    seconds: float = 0.2,
) -> ExchangeSummary:
    """An exchange that is over."""
    return ExchangeSummary(
        "quince", 0.0, seconds, owner, key, "quince", "pro", channel, "POST", "/v1/messages",
        status, outcome, 1, 1, None, "", error,
    )  # fmt: skip


def settings(own: str = "policy") -> config.Settings:
    """Settings with one value."""
    return config.load(Path("/nowhere"), {}, {"telemetry.own": own})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (exchange(), ("ok", "2xx", None)),
        (exchange(400), ("error", "4xx", "invalid_request_error")),
        (exchange(418), ("error", "4xx", "invalid_request_error")),
        (exchange(429), ("error", "4xx", "rate_limit_error")),
        (exchange(500), ("error", "5xx", "api_error")),
        (exchange(529), ("error", "5xx", "overloaded_error")),
        (exchange(200, "client_aborted"), ("cancelled", "2xx", None)),
        (exchange(0, "client_aborted"), ("cancelled", "none", None)),
        (exchange(502, "upstream_failed", "upstream_closed"), ("error", "5xx", "api_error")),
        (exchange(504, "timed_out", "upstream_timeout"), ("timeout", "5xx", "timeout_error")),
        (exchange(0, "upstream_failed"), ("error", "none", "connection_error")),
        (exchange(413, "refused", "request_too_large"), ("refused", "4xx", "request_too_large")),
    ],
)
def test_how_an_exchange_ended(
    given: ExchangeSummary, expected: tuple[str, str, str | None]
) -> None:
    """In the registry's words, each of which it takes."""
    assert expected == ending(given)


@pytest.mark.row("S1", "R2")
def test_exchanges_are_added_up_and_kept_as_histograms(bench: Bench) -> None:
    """One for each channel and way of ending, within the bounds; nothing of whose it was is kept,
    and nothing at all of a key whose terms are zero days, or of nobody's.
    """
    own = Own(
        bench.telemetry,
        bench.clock,
        lambda: ALL,
        lambda _, key: MeasuredTerms(None if key == "zero" else "P30D"),
    )
    for number in range(100):
        own.exchange(exchange(seconds=(number + 1) / 100))
    own.exchange(exchange(500, channel="bedrock"))
    own.exchange(exchange(key="zero"))
    own.exchange(exchange(owner=""))
    own.keep()

    summary = bench.telemetry.metrics.names(bench.clock())
    (row,) = bench.query("bailee.exchange.duration", by=("provider",))[:1]
    assert [("bailee.exchange.duration", 2)] == [(one.name, one.points) for one in summary]
    assert ("api", 100) == (row["group"]["provider"], row["count"])
    assert 450 < row["p50"] < 550
    assert 900 < row["p95"] <= 1000
    assert BOUNDS[0] == 1.0
    assert BOUNDS[-1] > 500_000
    bench.close()
    assert [] == [p for p in bench.path.rglob("*") if p.is_file() and b"quince" in p.read_bytes()]
    bench.open()


@pytest.mark.row("S1", "S4", "S5")
@pytest.mark.parametrize(
    ("own", "environment", "channels", "errors"),
    [
        ("policy", {}, {"api"}, True),
        ("off", {}, set(), False),
        ("policy", {"DISABLE_TELEMETRY": "0"}, set(), True),
        ("policy", {"DISABLE_ERROR_REPORTING": "1"}, {"api"}, False),
        ("policy", {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}, set(), False),
        ("off", {"DISABLE_ERROR_REPORTING": "1"}, set(), False),
        ("policy", {"CLAUDE_CODE_USE_BEDROCK": "1"}, {"api"}, True),
    ],
)
def test_the_switches_decide_what_a_server_measures(
    own: str, environment: Mapping[str, str], channels: set[str], errors: bool
) -> None:
    """By the policy's flows, each channel as its provider; the setting only turns off."""
    assert channels == measured_channels(POLICY, settings(own), environment)
    assert errors is reports_errors(POLICY, settings(own), environment)


def test_a_setting_that_is_none_is_refused() -> None:
    """With what may stand there: measuring more than the document lets is none."""
    for said in ("maybe", "on"):
        with pytest.raises(InputError, match=r"telemetry\.own"):
            measured_channels(POLICY, settings(said), {})


@pytest.mark.row("S2")
def test_a_defect_is_reported_without_its_words(bench: Bench) -> None:
    """Class and own frames; a class of somebody else's by its nearest known one. A flood of them
    is held back.
    """
    report = Defects(bench.telemetry, bench.clock, MeasuredTerms("P30D"))

    class QuinceError(KeyError):
        pass

    def fail() -> None:
        try:
            parse("quince")
        except InputError as error:
            raise QuinceError("quince") from error

    for _ in range(30):
        try:
            parse("quince")
        except InputError as error:
            report(error)
    bench.clock.advance(timedelta(minutes=2))
    try:
        fail()
    except QuinceError as error:
        report(error)
    bench.telemetry.settle()

    found = {issue.type: issue for issue in bench.telemetry.errors.issues(bench.clock())}
    assert {"InputError", "KeyError"} == found.keys()
    assert ("bailee.policy.period.parse", 20) == (
        found["InputError"].where,
        found["InputError"].count,
    )
    assert all(release.startswith("bailee-gateway@") for release in found["KeyError"].releases)
    bench.close()
    assert [] == [p for p in bench.path.rglob("*") if p.is_file() and b"quince" in p.read_bytes()]
    bench.open()


@pytest.mark.row("S2")
def test_a_flood_of_defects_is_held_back_from_however_many_threads(bench: Bench) -> None:
    """Twenty a minute are kept, and not one more."""
    report = Defects(bench.telemetry, bench.clock, MeasuredTerms("P30D"))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(report, [ValueError("quince") for _ in range(200)]))
    bench.telemetry.settle()
    assert [20] == [issue.count for issue in bench.telemetry.errors.issues(bench.clock())]
