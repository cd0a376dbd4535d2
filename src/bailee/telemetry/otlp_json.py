"""OTLP in JSON, read into the values of `otlp`. Pure.

JSON is read as it comes, not by way of protobuf: `json_format` takes fifty times as long and reads
hexadecimal trace ids as base64. Here ids are not read at all. 64-bit integers come as text or as
numbers, names in lowerCamelCase; unknown names are passed over, as the protocol asks.

Raises `ValueError` for what is not JSON or not of the message's form.
"""

from __future__ import annotations

from collections.abc import Iterator

from bailee.json_values import JsonObject, elements, members, text
from bailee.telemetry.json_bodies import message, parts
from bailee.telemetry.otlp import (
    CUMULATIVE,
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

_TEMPORALITIES = {
    "AGGREGATION_TEMPORALITY_DELTA": DELTA,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": CUMULATIVE,
}
_NAN = float("nan")
_LONGEST_NUMBER = 24


def read_metrics(body: bytes, room: DecodingBudget) -> Iterator[Metric]:
    """The metrics of an `ExportMetricsServiceRequest`."""
    for resource in parts(message(body), "resourceMetrics", room):
        attributes = _resource(resource)
        for scope in parts(resource, "scopeMetrics", room):
            for metric in parts(scope, "metrics", room):
                yield _metric(attributes, metric, room)


def read_logs(body: bytes, room: DecodingBudget) -> Iterator[LogRecord]:
    """The records of an `ExportLogsServiceRequest`."""
    for resource in parts(message(body), "resourceLogs", room):
        attributes = _resource(resource)
        for scope in parts(resource, "scopeLogs", room):
            for record in parts(scope, "logRecords", room):
                own = _pairs(record)
                named = next((value for name, value in own if name == "event.name"), None)
                own = [pair for pair in own if pair[0] != "event.name"]
                said = _object(record, "body").get("stringValue")
                time = _whole(record.get("timeUnixNano")) or _whole(
                    record.get("observedTimeUnixNano")
                )
                yield LogRecord(attributes, (record.get("eventName"), said, named), own, time)


def read_spans(body: bytes, room: DecodingBudget) -> Iterator[Span]:
    """The spans of an `ExportTraceServiceRequest`."""
    for resource in parts(message(body), "resourceSpans", room):
        attributes = _resource(resource)
        for scope in parts(resource, "scopeSpans", room):
            for span in parts(scope, "spans", room):
                failed = _object(span, "status").get("code") in (2, "STATUS_CODE_ERROR")
                yield Span(
                    attributes,
                    text(span.get("name")),
                    _pairs(span),
                    _whole(span.get("startTimeUnixNano")),
                    _whole(span.get("endTimeUnixNano")),
                    failed,
                )


def _object(parent: JsonObject, name: str) -> JsonObject:
    return members(parent.get(name))


def _resource(parent: JsonObject) -> Pairs:
    return _pairs(_object(parent, "resource"))


def _pairs(parent: JsonObject) -> Pairs:
    pairs: Pairs = []
    for attribute in elements(parent.get("attributes")):
        one = members(attribute)
        pairs.append((one.get("key"), _scalar(one.get("value"))))
    return pairs


def _scalar(value: object) -> object:
    if not isinstance(value, dict):
        return None
    for name, found in value.items():
        if name == "stringValue" and isinstance(found, str):
            return found
        if name == "intValue":
            return _integer(found)
        if name == "doubleValue":
            return _number(found)
        if name == "boolValue" and isinstance(found, bool):
            return found
    return None


def _integer(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and value.isascii():
        digits = value.removeprefix("-")
        if digits.isdecimal():
            return int(value)
    return None


def _whole(value: object) -> int:
    return _integer(value) or 0


def _number(value: object) -> float:
    """A number, which may come as text too, as protobuf's JSON allows; else NaN."""
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return _NAN
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _NAN
    try:
        return float(value)
    except (OverflowError, ValueError):
        return _NAN


def _metric(resource: Pairs, metric: JsonObject, room: DecodingBudget) -> Metric:
    name = text(metric.get("name"))
    if "sum" in metric:
        data = _object(metric, "sum")
        kind = "counter" if data.get("isMonotonic") is True else "gauge"
        return Metric(resource, name, kind, _temporality(data), _numbers(data, room))
    if "gauge" in metric:
        return Metric(resource, name, "gauge", DELTA, _numbers(_object(metric, "gauge"), room))
    if "histogram" in metric:
        data = _object(metric, "histogram")
        return Metric(resource, name, "histogram", _temporality(data), _histogram(data, room))
    if "exponentialHistogram" in metric:
        data = _object(metric, "exponentialHistogram")
        return Metric(resource, name, "histogram", _temporality(data), _exponential(data, room))
    found = parts(_object(metric, "summary"), "dataPoints", room)
    return Metric(resource, name, "none", DELTA, (Point([], 0, 0, _NAN) for _ in found))


def _temporality(data: JsonObject) -> int:
    given = data.get("aggregationTemporality")
    if isinstance(given, str):
        return _TEMPORALITIES.get(given, 0)
    return _whole(given)


def _numbers(data: JsonObject, room: DecodingBudget) -> Iterator[Point]:
    for point in parts(data, "dataPoints", room):
        value: float = _NAN
        if "asInt" in point:
            whole = _integer(point["asInt"])
            value = _NAN if whole is None else _number(whole)
        elif "asDouble" in point:
            value = _number(point["asDouble"])
        yield Point(*_stamped(point), value)


def _stamped(point: JsonObject) -> tuple[Pairs, int, int]:
    start, time = _whole(point.get("startTimeUnixNano")), _whole(point.get("timeUnixNano"))
    return _pairs(point), start, time


def _histogram(data: JsonObject, room: DecodingBudget) -> Iterator[Point]:
    for point in parts(data, "dataPoints", room):
        bounds, counts = point.get("explicitBounds") or [], point.get("bucketCounts") or []
        yield Point(
            *_stamped(point),
            _number(point.get("sum", 0.0)),
            _whole(point.get("count")),
            [_number(bound) for bound in bounds[:200]] if isinstance(bounds, list) else [_NAN],
            [_whole(number) for number in counts[:200]] if isinstance(counts, list) else [],
        )


def _exponential(data: JsonObject, room: DecodingBudget) -> Iterator[Point]:
    for point in parts(data, "dataPoints", room):
        positive, negative = _object(point, "positive"), _object(point, "negative")
        counts = elements(positive.get("bucketCounts"))[: MOST_EXPONENTIAL + 1]
        # There is no place for what is below zero.
        below = any(map(_whole, elements(negative.get("bucketCounts"))))
        yield Point(
            *_stamped(point),
            _NAN if below else _number(point.get("sum", 0.0)),
            _whole(point.get("count")),
            exponential=ExponentialBuckets(
                _whole(point.get("scale")),
                _whole(point.get("zeroCount")),
                _whole(positive.get("offset")),
                tuple(_whole(number) for number in counts),
            ),
        )
