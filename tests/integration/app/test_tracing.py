"""Spans on their way to a collector: bounded, in order, and never in a request's way.

Rows: O5.
"""

from __future__ import annotations

import pytest

from bailee.app.tracing import Tracing
from bailee.auditing.sinks import NotTaken
from bailee.monitoring.spans import TracedRequest
from support.servers.trace_collector import TraceCollector

pytestmark = pytest.mark.row("O5")


def served(number: int) -> TracedRequest:
    """A request that differs from others by its time."""
    return TracedRequest("GET", "/", 200, "", float(number), 0.0)


def test_what_is_not_taken_waits_in_its_order(trace_collector: TraceCollector) -> None:
    """Nothing twice, nothing missing; nor is a redirect followed, nor an answer repeated."""
    tracing = Tracing(trace_collector.url, print)
    for number in range(600):
        tracing.over(served(number), "")
    for status in (503, 302):
        trace_collector.status = status
        with pytest.raises(NotTaken) as refused:
            tracing.send()
        assert "pears" not in str(refused.value)
    trace_collector.status = 200
    trace_collector.spans.clear()
    tracing.send()
    assert list(range(600)) == [one.start_time_unix_nano // 10**9 for one in trace_collector.spans]
    assert {"/v1/traces"} == set(trace_collector.paths)


def test_of_more_than_there_is_room_for_the_newest_stay(trace_collector: TraceCollector) -> None:
    """While a collector is away; how many are left out is said once it is back."""
    said: list[str] = []
    tracing = Tracing(trace_collector.url, said.append, every=0.01)
    trace_collector.status = 503
    for number in range(5000):
        tracing.over(served(number), "")
    tracing.start()
    try:
        assert trace_collector.came.wait(60)
        trace_collector.status = 200
        trace_collector.spans.clear()
        trace_collector.until(4096)
    finally:
        tracing.stop()
    at = [one.start_time_unix_nano // 10**9 for one in trace_collector.spans]
    assert list(range(904, 5000)) == at[-4096:]
    assert f"traces can't be sent to {trace_collector.url}: it answered 503" == said[0]
    assert f"904 requests have no trace: {trace_collector.url} did not take it" == said[-1]
    assert 2 == len(said)
