"""What is told of a request as a span, and which traces are kept."""

from __future__ import annotations

import os

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bailee.monitoring.spans import RANDOM, TracedRequest, parent_of, request, span

pytestmark = pytest.mark.row("O5")

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVED = TracedRequest("POST", "/v1/messages", 200, "", 1_700_000_000.25, 2.5, 0.5, (("n", 7),))


@pytest.mark.parametrize(
    "said",
    [
        "",
        f"ff-{TRACE}-{ABOVE}-01",
        f"00-{'0' * 32}-{ABOVE}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{ABOVE}-01",
        f"00-{TRACE}-{ABOVE}",
        f"00-{TRACE}-{ABOVE}-01 pears",
    ],
)
def test_what_is_no_trace_begins_one(said: str) -> None:
    """As W3C Trace Context has it."""
    assert parent_of(said) is None
    made = span(SERVED, parent_of(said), bytes(range(RANDOM)), 100)
    assert made is not None
    assert (bytes(range(16)), bytes(range(16, 24)), b"") == made[:3]


def test_a_clients_trace_is_gone_on_with_if_it_is_kept() -> None:
    """And one that its client does not keep is not kept here."""
    kept = span(SERVED, parent_of(f"00-{TRACE}-{ABOVE}-01"), bytes(RANDOM), 100)
    assert kept is not None
    assert (TRACE, ABOVE) == (kept.trace_id.hex(), kept.parent.hex())
    assert span(SERVED, parent_of(f"00-{TRACE}-{ABOVE}-00"), bytes(RANDOM), 100) is None


def test_the_share_is_of_the_traces_ids() -> None:
    """So whoever keeps as many keeps the same; a client does not choose to be kept."""
    lowest, highest = bytes(16), b"\xff" * 16
    of = [parent_of(f"00-{one.hex()}-{ABOVE}-01") for one in (b"\1" + lowest[1:], highest)]
    assert [True, False] == [span(SERVED, one, bytes(RANDOM), 50) is not None for one in of]
    kept = sum(span(SERVED, None, os.urandom(RANDOM), 25) is not None for _ in range(4000))
    assert 800 < kept < 1200  # seven times its deviation


def test_a_span_as_a_collector_reads_it() -> None:
    """Times to the nanosecond, the first byte as an event, a failure as one."""
    made = span(SERVED, None, bytes(range(RANDOM)), 100)
    failed = span(SERVED._replace(status=503, error="overloaded"), None, bytes(RANDOM), 100)
    gone = span(SERVED._replace(status=0, first_byte=-1.0), None, bytes(RANDOM), 100)
    assert made is not None
    assert failed is not None
    assert gone is not None
    read = ExportTraceServiceRequest.FromString(request([made, failed, gone]))
    first, second, third = read.resource_spans[0].scope_spans[0].spans
    assert "POST /v1/messages" == first.name
    assert 2_500_000_000 == first.end_time_unix_nano - first.start_time_unix_nano
    assert [("first byte", 500_000_000)] == [
        (one.name, one.time_unix_nano - first.start_time_unix_nano) for one in first.events
    ]
    values = {one.key: one.value for one in first.attributes}
    assert (200, 7) == (values["http.response.status_code"].int_value, values["n"].int_value)
    assert [0, 2, 0] == [one.status.code for one in (first, second, third)]
    assert "overloaded" in {one.value.string_value for one in second.attributes}
    assert "http.response.status_code" not in {one.key for one in third.attributes}
    assert not third.events
