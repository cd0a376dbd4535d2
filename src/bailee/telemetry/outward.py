"""Rows as requests to somebody else: OTLP in protobuf, Sentry envelopes. Pure but for event ids.

What leaves is made of rows, which have been through the guard: declared fields alone. Fields that
every measure may have are the resource, the others are the point's. Counters and histograms leave
as deltas, events as log records with the name of their measure.

Standards: OTLP 1.x, Sentry envelopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import orjson

from bailee.registry.values import Value
from bailee.telemetry.destinations import Address
from bailee.telemetry.records import CaughtError, Figure, Row, innermost, where

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

AnyRow = TypeVar("AnyRow", Figure, CaughtError, Row)
T = TypeVar("T")

_AT_ONCE: Final = 2000
_SIGNALS: Final = {"event": "logs", "span": "traces"}
_UNSET, _FAILED = 0, 2
_LEVELS: Final = {"fatal": 21, "error": 17, "warning": 13, "info": 9, "debug": 5}


class _Attributes(Protocol):
    """A message's attributes, as protobuf has them: `add` puts an empty one at their end."""

    def add(self) -> KeyValue: ...


@dataclass(frozen=True, slots=True)
class OutwardRequest:
    """One request: its address, its headers, its body; how many rows it carries."""

    url: str
    headers: dict[str, str]
    body: bytes
    rows: int


def requests(
    to: Address,
    rows: Sequence[Row],
    common: frozenset[str],
    new_id: Callable[[], str],
) -> Iterator[OutwardRequest]:
    """The requests that carry rows to an address. `new_id` gives 32 hexadecimal digits."""
    if to.kind == "sentry":
        for row in (row for row in rows if isinstance(row, CaughtError)):
            body = envelope(row, new_id())
            headers = to.headers | {"content-type": "application/x-sentry-envelope"}
            yield OutwardRequest(to.url, headers, body, 1)
        return
    headers = to.headers | {"content-type": "application/x-protobuf"}
    for start in range(0, len(rows), _AT_ONCE):
        for signal, some in _by_signal(rows[start : start + _AT_ONCE]).items():
            figures = [row for row in some if isinstance(row, Figure)]
            if signal == "metrics":
                body = metrics(figures, common)
            elif signal == "traces":
                body = spans(figures, common, new_id)
            else:
                body = logs(some, common)
            yield OutwardRequest(f"{to.url}/v1/{signal}", headers, body, len(some))


def _by_signal(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        signal = _SIGNALS.get(row.kind, "metrics") if isinstance(row, Figure) else "logs"
        found.setdefault(signal, []).append(row)
    return found


def envelope(row: CaughtError, event_id: str) -> bytes:
    """An error's row as a Sentry envelope. Events of one issue have its id as their fingerprint."""
    stack = [
        _said({"module": f.module, "function": f.function, "lineno": f.line, "in_app": f.ours})
        for f in row.frames
    ]
    event: dict[str, object] = {
        "event_id": event_id,
        "timestamp": datetime.fromtimestamp(row.at / 1000, UTC).isoformat(),
        "platform": row.platform,
        "level": row.level,
        "release": row.release,
        "environment": row.environment,
        "fingerprint": [row.issue],
        "tags": {name: str(value) for name, value in row.attributes.items()},
        "exception": {
            "values": [
                {
                    "type": row.type,
                    "mechanism": {"type": "generic", "handled": row.handled is not False},
                    "stacktrace": {"frames": stack} if stack else None,
                }
            ]
        },
    }
    item = orjson.dumps(_said(event))
    head = orjson.dumps({"event_id": event_id})
    return (
        head + b"\n" + orjson.dumps({"type": "event", "length": len(item)}) + b"\n" + item + b"\n"
    )


def _said(given: Mapping[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in given.items() if value is not None}


def metrics(rows: Sequence[Figure], common: frozenset[str]) -> bytes:
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
        by_name: dict[str, Metric] = {}
        for row in some:
            metric = by_name.get(row.name)
            if metric is None:
                metric = by_name[row.name] = scope.metrics.add()
                metric.name = row.name
            if row.kind == "histogram":
                metric.histogram.aggregation_temporality = 1
                point = metric.histogram.data_points.add()
                point.count, point.sum = row.count, row.value
                point.explicit_bounds.extend(row.bounds or [])
                point.bucket_counts.extend(row.counts or [])
            elif row.kind == "gauge":
                point = metric.gauge.data_points.add()
                point.as_double = row.value
            else:
                metric.sum.aggregation_temporality = 1
                metric.sum.is_monotonic = True
                point = metric.sum.data_points.add()
                point.as_double = row.value
            point.time_unix_nano = row.at * 1_000_000
            point.start_time_unix_nano = row.at * 1_000_000
            _put(point.attributes, _own(row.attributes, common))
    return bytes(request.SerializeToString())


def logs(rows: Sequence[Row], common: frozenset[str]) -> bytes:
    """Events and errors as an `ExportLogsServiceRequest`."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    for about, some in _by_resource(rows, common).items():
        made = request.resource_logs.add()
        _put(made.resource.attributes, dict(about))
        scope = made.scope_logs.add()
        scope.scope.name = "bailee"
        for row in some:
            name, severity, attributes = _log(row)
            record = scope.log_records.add()
            record.time_unix_nano = record.observed_time_unix_nano = row.at * 1_000_000
            record.severity_number = severity
            record.event_name = name
            record.body.string_value = name
            _put(record.attributes, _own(attributes, common))
    return bytes(request.SerializeToString())


def spans(rows: Sequence[Figure], common: frozenset[str], new_id: Callable[[], str]) -> bytes:
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
            span.name = row.name
            span.end_time_unix_nano = row.at * 1_000_000
            span.start_time_unix_nano = span.end_time_unix_nano - round(row.value * 1e6)
            span.status.code = _FAILED if row.attributes.get("outcome") == "error" else _UNSET
            _put(span.attributes, _own(row.attributes, common))
    return bytes(request.SerializeToString())


def _log(row: Row) -> tuple[str, int, dict[str, Value]]:
    """Name, severity and attributes. Of an error: its class and where it happened, under
    OpenTelemetry's names for them.
    """
    if isinstance(row, Figure):
        return row.name, _LEVELS["info"], row.attributes
    place = innermost(row.frames)
    about: dict[str, Value | None] = {
        "exception.type": row.type,
        "error.platform": row.platform,
        "release": row.release,
        "deployment.environment": row.environment,
        "handled": row.handled,
        "bailee.issue": row.issue,
        "code.function.name": where(row.frames),
        "code.line.number": None if place is None else place.line,
    }
    return "bailee.error", _LEVELS.get(row.level, 17), {**row.attributes, **_said(about)}


def _by_resource(
    rows: Sequence[AnyRow], common: frozenset[str]
) -> dict[tuple[tuple[str, Value], ...], list[AnyRow]]:
    found: dict[tuple[tuple[str, Value], ...], list[AnyRow]] = {}
    for row in rows:
        about = tuple(sorted((n, v) for n, v in row.attributes.items() if n in common))
        found.setdefault(about, []).append(row)
    return found


def _own(attributes: dict[str, Value], common: frozenset[str]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if name not in common}


def _put(into: _Attributes, attributes: dict[str, Value]) -> None:
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
