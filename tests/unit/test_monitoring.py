"""A server's own figures: declared, bounded, and without content."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from bailee.gateway.known_routes import CHANNELS
from bailee.monitoring import catalogue
from bailee.monitoring.catalogue import FAMILIES, MOST, OTHER, PROCESS
from bailee.monitoring.exchanges import ExchangeCounts
from bailee.monitoring.exposition import Exposition
from bailee.node.promises import Promise
from bailee.vault.exchange import Outcome

pytestmark = pytest.mark.row("O5")


@dataclass
class Over:
    """An exchange that is over."""

    channel: str = "api"
    status: int = 200
    outcome: str = "complete"
    error: str = ""
    seconds: float = 0.3
    first_byte: float = 0.1
    bytes_in: int = 10
    bytes_out: int = 20


ATTACKS = (
    "claude-opus-4-8", "/home/mei/secret.py", "Mozilla/5.0 (X11)", "acc_01h8xyz", "mei@example.org",
    'x"} 1\nbailee_ready{a="', "bl_0123456789", "合同", "\x00",
)  # fmt: skip
KNOWN = {
    OTHER, *CHANNELS, "0.1.0", "in", "out", "yes", "no", "+Inf",
    *(str(float(bound)) for one in FAMILIES.values() for bound in one.bounds),
    *(value for one in FAMILIES.values() for values in one.labels.values() for value in values),
}  # fmt: skip


def series(figures: Exposition) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What is said, read by the library's own reader."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(figures.text().decode())
        for sample in family.samples
    }


@given(st.lists(st.tuples(*(st.sampled_from([*ATTACKS, ""]),) * 3), min_size=1, max_size=20))
def test_no_content_becomes_a_figure(told: list[tuple[str, str, str]]) -> None:
    """Whatever stands where a channel, an outcome, a code or a label's value is expected."""
    counts = ExchangeCounts()
    given: dict[str, dict[tuple[str, ...], float]] = {}
    for channel, outcome, error in told:
        counts.add(Over(channel, 200, outcome, error))
        counts.add(Over(channel, 999, "refused", error))
        for family in FAMILIES.values():
            if not family.bounds and family.name != "bailee_build_info":
                values = (channel, outcome, error)[: len(family.labels)]
                given.setdefault(family.name, {})[values] = 1.0
    figures = Exposition(counts, lambda: given)
    said = series(figures)
    assert {value for _, labels in said for _, value in labels} <= KNOWN
    assert len(said) < MOST + len(PROCESS)
    text = figures.text().decode()
    assert not [attack for attack in ATTACKS if attack in text]


def test_exchanges_are_counted_by_how_they_ended() -> None:
    """By channel, status and outcome; refusals by code; times of what went upstream alone."""
    counts = ExchangeCounts()
    for one in (
        Over(), Over(seconds=4.0, first_byte=-1.0, status=502, outcome="upstream_failed"),
        Over(status=0, outcome="client_aborted"), Over("bedrock", error="upstream_timeout"),
        Over("", 404, "refused", "not_found"), Over("vertex", 529),
    ):  # fmt: skip
        counts.add(one)
    said = series(Exposition(counts, dict))

    def of(name: str, **labels: str) -> float:
        return said[name, tuple(sorted(labels.items()))]

    requests = "bailee_requests_total"
    assert 1 == of(requests, channel="api", status="2xx", outcome="complete")
    assert 1 == of(requests, channel="api", status="none", outcome="client_aborted")
    assert 1 == of(requests, channel="none", status="4xx", outcome="refused")
    assert 1 == of("bailee_requests_refused_total", code="not_found")
    assert 1 == of("bailee_upstream_errors_total", channel="api", code="other")
    assert 1 == of("bailee_upstream_errors_total", channel="bedrock", code="upstream_timeout")
    assert 1 == of("bailee_upstream_errors_total", channel="vertex", code="other")
    times = "bailee_request_duration_seconds"
    assert (3, 2, 3) == (
        of(f"{times}_count", channel="api"),
        of(f"{times}_bucket", channel="api", le="0.5"),
        of(f"{times}_bucket", channel="api", le="5.0"),
    )
    assert 2 == of("bailee_first_byte_seconds_count", channel="api")
    assert 30 == of("bailee_bytes_total", channel="api", direction="in")


def test_what_is_declared_is_what_there_is() -> None:
    """The catalogue has each channel, outcome and promise that there is, and stays bounded."""
    assert (*CHANNELS, "none") == catalogue.CHANNELS
    assert {*catalogue.OUTCOMES} == {*Outcome, "refused"}
    assert {*catalogue.PROMISES} == {*Promise}
    assert MOST < 2500
    assert all(family.bounds in ((), tuple(sorted(family.bounds))) for family in FAMILIES.values())
    assert inf not in FAMILIES["bailee_first_byte_seconds"].bounds
