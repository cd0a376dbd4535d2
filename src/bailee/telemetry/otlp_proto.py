"""OTLP in protobuf, read into the values of `otlp`.

Raises `ValueError` for what is no message. Maps, lists and bytes as attribute values are not read:
the guard would drop them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage

from bailee.telemetry.otlp import (
    DELTA,
    MOST_EXPONENTIAL,
    DecodingBudget,
    ExponentialBuckets,
    LogRecord,
    Metric,
    Pairs,
    Point,
    Span,
)

_SCALARS: Final = ("string_value", "bool_value", "int_value", "double_value")
_FAILED: Final = 2
_Message = TypeVar("_Message", bound=Message)


def read_metrics(body: bytes, room: DecodingBudget) -> Iterator[Metric]:
    """The metrics of an `ExportMetricsServiceRequest`."""
    for resource in room.of(_parsed(metrics.ExportMetricsServiceRequest(), body).resource_metrics):
        attributes = _pairs(resource.resource.attributes)
        for scope in room.of(resource.scope_metrics):
            for metric in room.of(scope.metrics):
                yield _metric(attributes, metric, room)


def read_logs(body: bytes, room: DecodingBudget) -> Iterator[LogRecord]:
    """The records of an `ExportLogsServiceRequest`."""
    for resource in room.of(_parsed(logs.ExportLogsServiceRequest(), body).resource_logs):
        attributes = _pairs(resource.resource.attributes)
        for scope in room.of(resource.scope_logs):
            for record in room.of(scope.log_records):
                own = _pairs(record.attributes)
                text = record.body.string_value
                named = next((value for name, value in own if name == "event.name"), None)
                own = [pair for pair in own if pair[0] != "event.name"]
                time = record.time_unix_nano or record.observed_time_unix_nano
                yield LogRecord(attributes, (record.event_name, text, named), own, time)


def read_spans(body: bytes, room: DecodingBudget) -> Iterator[Span]:
    """The spans of an `ExportTraceServiceRequest`."""
    for resource in room.of(_parsed(traces.ExportTraceServiceRequest(), body).resource_spans):
        attributes = _pairs(resource.resource.attributes)
        for scope in room.of(resource.scope_spans):
            for span in room.of(scope.spans):
                yield Span(
                    attributes,
                    span.name,
                    _pairs(span.attributes),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == _FAILED,
                )


def _parsed(message: _Message, body: bytes) -> _Message:
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise ValueError("not the protobuf message it is said to be") from error
    return message


def _pairs(attributes: Iterable[KeyValue]) -> Pairs:
    pairs: Pairs = []
    for attribute in attributes:
        which = attribute.value.WhichOneof("value")
        scalar = getattr(attribute.value, which) if which in _SCALARS else None
        pairs.append((attribute.key, scalar))
    return pairs


def _metric(resource: Pairs, metric: MetricMessage, room: DecodingBudget) -> Metric:
    which = metric.WhichOneof("data")
    if which == "sum":
        data = metric.sum
        kind = "counter" if data.is_monotonic else "gauge"
        return Metric(
            resource,
            metric.name,
            kind,
            data.aggregation_temporality,
            _numbers(data.data_points, room),
        )
    if which == "gauge":
        return Metric(
            resource, metric.name, "gauge", DELTA, _numbers(metric.gauge.data_points, room)
        )
    if which == "histogram":
        data = metric.histogram
        points = _histogram(data.data_points, room)
        return Metric(resource, metric.name, "histogram", data.aggregation_temporality, points)
    if which == "exponential_histogram":
        data = metric.exponential_histogram
        points = _exponential(data.data_points, room)
        return Metric(resource, metric.name, "histogram", data.aggregation_temporality, points)
    found = room.of(metric.summary.data_points)
    nothing = (Point([], 0, 0, float("nan")) for _ in found)
    return Metric(resource, metric.name, "none", DELTA, nothing)


def _numbers(points: Sequence[NumberDataPoint], room: DecodingBudget) -> Iterator[Point]:
    for point in room.of(points):
        which = point.WhichOneof("value")
        value = float(getattr(point, which)) if which is not None else float("nan")
        yield Point(
            _pairs(point.attributes), point.start_time_unix_nano, point.time_unix_nano, value
        )


def _histogram(points: Sequence[HistogramDataPoint], room: DecodingBudget) -> Iterator[Point]:
    for point in room.of(points):
        yield Point(
            _pairs(point.attributes),
            point.start_time_unix_nano,
            point.time_unix_nano,
            point.sum,
            point.count,
            list(point.explicit_bounds[:200]),
            list(point.bucket_counts[:200]),
        )


def _exponential(
    points: Sequence[ExponentialHistogramDataPoint], room: DecodingBudget
) -> Iterator[Point]:
    for point in room.of(points):
        counts = tuple(point.positive.bucket_counts[: MOST_EXPONENTIAL + 1])
        buckets = ExponentialBuckets(point.scale, point.zero_count, point.positive.offset, counts)
        # There is no place for what is below zero.
        value = float("nan") if any(point.negative.bucket_counts) else point.sum
        yield Point(
            _pairs(point.attributes),
            point.start_time_unix_nano,
            point.time_unix_nano,
            value,
            point.count,
            exponential=buckets,
        )
