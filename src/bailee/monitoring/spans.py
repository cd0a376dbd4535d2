"""The server's own requests as spans of OpenTelemetry. It computes, and acts nowhere; what is
random is given.

Rules kept here:

* A span has names and numbers that are declared here: method, route, status, how it ended, bytes,
  times. No owner, no key, no session, no model's words, nothing that a client wrote, but for the
  ids of the trace that it says it belongs to, which are digits.
* A client's trace is gone on with if it is kept (`sampled`); one that is not kept is not kept here.
* Which traces are kept is said by a trace's id, so that each server keeps the same ones.

Standards: OTLP 1.x (protobuf); W3C Trace Context level 1 (`traceparent`); the semantic conventions
of HTTP servers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from bailee import __version__

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SERVER: Final = 2  # SPAN_KIND_SERVER
_ERROR: Final = 2  # STATUS_CODE_ERROR
_ID: Final = 16  # bytes of a trace's id; a span's has half of them
RANDOM: Final = _ID + _ID // 2
"""Bytes that a span's ids take."""


class Parent(NamedTuple):
    """What a client says of the trace that its request belongs to."""

    trace_id: bytes
    span_id: bytes
    sampled: bool


class TracedRequest(NamedTuple):
    """A request that is over. `status` 0: it was not answered. `started` in Unix seconds;
    `first_byte` in seconds after it, less than 0: none. `more`: further names and numbers, by their
    attributes' names.
    """

    method: str
    route: str
    status: int
    error: str
    started: float
    seconds: float
    first_byte: float = -1.0
    more: tuple[tuple[str, str | int], ...] = ()


class TraceSpan(NamedTuple):
    """One, with its ids; `parent` is empty where it begins a trace."""

    trace_id: bytes
    span_id: bytes
    parent: bytes
    of: TracedRequest


def parent_of(traceparent: str) -> Parent | None:
    """What a field's value says; None: nothing that is a trace."""
    found = _PARENT.fullmatch(traceparent)
    if found is None or found[1] == "ff":
        return None
    trace_id, span_id = bytes.fromhex(found[2]), bytes.fromhex(found[3])
    if not any(trace_id) or not any(span_id):
        return None
    return Parent(trace_id, span_id, bool(int(found[4], 16) & 1))


def span(of: TracedRequest, parent: Parent | None, random: bytes, percent: int) -> TraceSpan | None:
    """A request's span; None: its trace is not kept. `random`: so many bytes as `RANDOM` says."""
    if parent is None:
        trace_id, above = random[:_ID], b""
    elif parent.sampled:
        trace_id, above = parent.trace_id, parent.span_id
    else:
        return None
    if int.from_bytes(trace_id[-7:], "big") * 100 >= percent << 56:
        return None
    return TraceSpan(trace_id, random[_ID:], above, of)


def request(spans: Sequence[TraceSpan]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    made = ExportTraceServiceRequest()
    within = made.resource_spans.add()
    for name, value in (("service.name", "bailee"), ("service.version", __version__)):
        one = within.resource.attributes.add()
        one.key, one.value.string_value = name, value
    scope = within.scope_spans.add()
    scope.scope.name = "bailee"
    for given in spans:
        of = given.of
        put = scope.spans.add()
        put.trace_id, put.span_id, put.parent_span_id = given[:3]
        put.kind = _SERVER
        put.name = f"{of.method} {of.route}"
        put.start_time_unix_nano = _nano(of.started)
        put.end_time_unix_nano = _nano(of.started + max(0.0, of.seconds))
        said: list[tuple[str, str | int]] = [
            ("http.request.method", of.method),
            ("http.route", of.route),
            *of.more,
        ]
        if of.status:
            said.append(("http.response.status_code", of.status))
        if of.error:
            said.append(("error.type", of.error))
        for key, figure in said:
            one = put.attributes.add()
            one.key = key
            if isinstance(figure, int):
                one.value.int_value = figure
            else:
                one.value.string_value = figure
        if of.status >= 500:
            put.status.code = _ERROR
        if of.first_byte >= 0:
            event = put.events.add()
            event.name, event.time_unix_nano = "first byte", _nano(of.started + of.first_byte)
    return bytes(made.SerializeToString())


def rejected(answer: bytes) -> int:
    """How many spans an answer says were refused. One that can't be read says nothing."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        read = ExportTraceServiceResponse.FromString(answer)
    except DecodeError:
        return 0
    return int(read.partial_success.rejected_spans)


def _nano(at: float) -> int:
    return max(0, int(at * 1_000_000)) * 1000
