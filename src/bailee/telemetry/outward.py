"""Rows as requests to somebody else: OTLP in protobuf, Sentry envelopes. Pure but for event ids.

What leaves is made of rows, which have been through the guard: declared fields alone. Fields that
every measure may have are the resource, the others are the point's. Counters and histograms leave
as deltas, events as log records with the name of their measure.

Standards: OTLP 1.x, Sentry envelopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bailee.telemetry.destinations import Address
from bailee.telemetry.records import METRIC, DataClass, Row

_AT_ONCE: Final = 2000
_SIGNALS: Final = {"event": "logs", "span": "traces"}
_UNSET, _FAILED = 0, 2
_LEVELS: Final = {"fatal": 21, "error": 17, "warning": 13, "info": 9, "debug": 5}


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its address, its headers, its body; how many rows it carries."""

    url: str
    headers: dict[str, str]
    body: bytes
    rows: int


def requests(
    to: Address,
    data_class: DataClass,
    rows: Sequence[Row],
    common: frozenset[str],
    new_id: Callable[[], str],
) -> Iterator[Request]:
    """The requests that carry rows to an address. `new_id` gives 32 hexadecimal digits."""
    if to.kind == "sentry":
        for row in rows:
            body = envelope(row, new_id())
            headers = to.headers | {"content-type": "application/x-sentry-envelope"}
            yield Request(to.url, headers, body, 1)
        return
    headers = to.headers | {"content-type": "application/x-protobuf"}
    for start in range(0, len(rows), _AT_ONCE):
        for signal, some in _by_signal(data_class, rows[start : start + _AT_ONCE]).items():
            if signal == "metrics":
                body = metrics(some, common)
            elif signal == "traces":
                body = spans(some, common, new_id)
            else:
                body = logs(some, common, _event if data_class == METRIC else _error)
            yield Request(f"{to.url}/v1/{signal}", headers, body, len(some))


def _by_signal(data_class: DataClass, rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        signal = "logs" if data_class != METRIC else _SIGNALS.get(row[2], "metrics")
        found.setdefault(signal, []).append(row)
    return found


def envelope(row: Row, event_id: str) -> bytes:
    """An error's row as a Sentry envelope. Events of one issue have its id as their fingerprint."""
    at, issue, kind, level, platform, release, environment, handled, frames, attributes = row
    stack = [
        {"module": module, "function": function, "lineno": line, "in_app": ours}
        for module, function, line, ours in frames
    ]
    event: dict[str, Any] = {
        "event_id": event_id,
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(),
        "platform": platform,
        "level": level,
        "release": release,
        "environment": environment,
        "fingerprint": [issue],
        "tags": {name: str(value) for name, value in attributes.items()},
        "exception": {
            "values": [
                {
                    "type": kind,
                    "mechanism": {"type": "generic", "handled": handled is not False},
                    "stacktrace": {"frames": [_said(frame) for frame in stack]} if stack else None,
                }
            ]
        },
    }
    item = orjson.dumps(_said(event))
    head = orjson.dumps({"event_id": event_id})
    return (
        head + b"\n" + orjson.dumps({"type": "event", "length": len(item)}) + b"\n" + item + b"\n"
    )


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def metrics(rows: Sequence[Row], common: frozenset[str]) -> bytes:
    """Counters, gauges and histograms as an `ExportMetricsServiceRequest`."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    request = ExportMetricsServiceRequest()
    for about, some in _by_resource(rows, common).items():
        made = request.resource_metrics.add()
        _put(made.resource.attributes, dict(about))
        scope = made.scope_metrics.add()
        scope.scope.name = "bailee"
        by_name: dict[str, Any] = {}
        for row in some:
            at, name, kind, value, count, bounds, counts, attributes = row
            metric = by_name.get(name)
            if metric is None:
                metric = by_name[name] = scope.metrics.add()
                metric.name = name
            if kind == "histogram":
                metric.histogram.aggregation_temporality = 1
                point = metric.histogram.data_points.add()
                point.count, point.sum = count, value
                point.explicit_bounds.extend(bounds or [])
                point.bucket_counts.extend(counts or [])
            elif kind == "gauge":
                point = metric.gauge.data_points.add()
                point.as_double = value
            else:
                metric.sum.aggregation_temporality = 1
                metric.sum.is_monotonic = True
                point = metric.sum.data_points.add()
                point.as_double = value
            point.time_unix_nano = at * 1_000_000
            point.start_time_unix_nano = at * 1_000_000
            _put(point.attributes, _own(attributes, common))
    return bytes(request.SerializeToString())


def logs(
    rows: Sequence[Row],
    common: frozenset[str],
    read: Callable[[Row], tuple[str, int, dict[str, Any]]],
) -> bytes:
    """Rows as an `ExportLogsServiceRequest`; `read` gives name, severity and attributes."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    for about, some in _by_resource(rows, common).items():
        made = request.resource_logs.add()
        _put(made.resource.attributes, dict(about))
        scope = made.scope_logs.add()
        scope.scope.name = "bailee"
        for row in some:
            name, severity, attributes = read(row)
            record = scope.log_records.add()
            record.time_unix_nano = record.observed_time_unix_nano = row[0] * 1_000_000
            record.severity_number = severity
            record.event_name = name
            record.body.string_value = name
            _put(record.attributes, _own(attributes, common))
    return bytes(request.SerializeToString())


def spans(rows: Sequence[Row], common: frozenset[str], new_id: Callable[[], str]) -> bytes:
    """Spans as an `ExportTraceServiceRequest`. What joined them was never read: each is a trace of
    its own, by a random id.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    for about, some in _by_resource(rows, common).items():
        made = request.resource_spans.add()
        _put(made.resource.attributes, dict(about))
        scope = made.scope_spans.add()
        scope.scope.name = "bailee"
        for row in some:
            span = scope.spans.add()
            span.trace_id = bytes.fromhex(new_id())
            span.span_id = bytes.fromhex(new_id())[:8]
            span.name = row[1]
            span.end_time_unix_nano = row[0] * 1_000_000
            span.start_time_unix_nano = span.end_time_unix_nano - round(row[3] * 1e6)
            span.status.code = _FAILED if row[-1].get("outcome") == "error" else _UNSET
            _put(span.attributes, _own(row[-1], common))
    return bytes(request.SerializeToString())


def _event(row: Row) -> tuple[str, int, dict[str, Any]]:
    return row[1], _LEVELS["info"], row[-1]


def _error(row: Row) -> tuple[str, int, dict[str, Any]]:
    """An error: its class and where it happened, under OpenTelemetry's names for them."""
    _, issue, kind, level, platform, release, environment, handled, frames, attributes = row
    named = next((f for f in reversed(frames) if f[0] is not None and f[3]), None)
    about = {
        "exception.type": kind,
        "error.platform": platform,
        "release": release,
        "deployment.environment": environment,
        "handled": handled,
        "bailee.issue": issue,
        "code.function.name": None if named is None else ".".join(filter(None, named[:2])),
        "code.line.number": None if named is None else named[2],
    }
    return "bailee.error", _LEVELS.get(level, 17), attributes | _said(about)


def _by_resource(
    rows: Sequence[Row], common: frozenset[str]
) -> dict[tuple[tuple[str, Any], ...], list[Row]]:
    found: dict[tuple[tuple[str, Any], ...], list[Row]] = {}
    for row in rows:
        about = tuple(sorted((n, v) for n, v in row[-1].items() if n in common))
        found.setdefault(about, []).append(row)
    return found


def _own(attributes: dict[str, Any], common: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in common}


def _put(into: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        pair = into.add()
        pair.key = name
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        else:
            pair.value.string_value = str(value)
