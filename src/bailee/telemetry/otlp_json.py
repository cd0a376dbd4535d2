"""OTLP in JSON, read into the values of `otlp`. Pure.

JSON is read as it comes, not by way of protobuf: `json_format` takes fifty times as long and reads
hexadecimal trace ids as base64. Here ids are not read at all. 64-bit integers come as text or as
numbers, names in lowerCamelCase; unknown names are passed over, as the protocol asks.

Raises `ValueError` for what is not JSON or not of the message's form.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from bailee.telemetry.otlp import (
    CUMULATIVE,
    DELTA,
    DecodingBudget,
    LogRecord,
    Metric,
    Pairs,
    Point,
    Span,
    buckets_of,
)

_TEMPORALITIES = {
    "AGGREGATION_TEMPORALITY_DELTA": DELTA,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": CUMULATIVE,
}
_NAN = float("nan")
_LONGEST_NUMBER = 24


def read_metrics(body: bytes) -> Iterator[Metric]:
    """The metrics of an `ExportMetricsServiceRequest`."""
    room = DecodingBudget()
    for resource in room.of(_list(_message(body), "resourceMetrics")):
        attributes = _resource(resource)
        for scope in room.of(_list(resource, "scopeMetrics")):
            for metric in room.of(_list(scope, "metrics")):
                yield _metric(attributes, metric, room)


def read_logs(body: bytes) -> Iterator[LogRecord]:
    """The records of an `ExportLogsServiceRequest`."""
    room = DecodingBudget()
    for resource in room.of(_list(_message(body), "resourceLogs")):
        attributes = _resource(resource)
        for scope in room.of(_list(resource, "scopeLogs")):
            for record in room.of(_list(scope, "logRecords")):
                own = _pairs(record)
                named = next((value for name, value in own if name == "event.name"), None)
                own = [pair for pair in own if pair[0] != "event.name"]
                text = _object(record, "body").get("stringValue")
                time = _whole(record.get("timeUnixNano")) or _whole(
                    record.get("observedTimeUnixNano")
                )
                yield LogRecord(attributes, (record.get("eventName"), text, named), own, time)


def read_spans(body: bytes) -> Iterator[Span]:
    """The spans of an `ExportTraceServiceRequest`."""
    room = DecodingBudget()
    for resource in room.of(_list(_message(body), "resourceSpans")):
        attributes = _resource(resource)
        for scope in room.of(_list(resource, "scopeSpans")):
            for span in room.of(_list(scope, "spans")):
                failed = _object(span, "status").get("code") in (2, "STATUS_CODE_ERROR")
                yield Span(
                    attributes,
                    _text(span, "name"),
                    _pairs(span),
                    _whole(span.get("startTimeUnixNano")),
                    _whole(span.get("endTimeUnixNano")),
                    failed,
                )


def _message(body: bytes) -> dict[str, object]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


def _list(parent: dict[str, object], name: str) -> list[dict[str, object]]:
    found = parent.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"{name} is not a list of objects")
    return found


def _object(parent: dict[str, object], name: str) -> dict[str, object]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _text(parent: dict[str, object], name: str) -> str:
    found = parent.get(name)
    return found if isinstance(found, str) else ""


def _resource(parent: dict[str, object]) -> Pairs:
    return _pairs(_object(parent, "resource"))


def _pairs(parent: dict[str, object]) -> Pairs:
    pairs: Pairs = []
    for attribute in _list(parent, "attributes"):
        pairs.append((attribute.get("key"), _scalar(attribute.get("value"))))
    return pairs


def _scalar(value: object) -> object:
    if not isinstance(value, dict):
        return None
    for name, found in value.items():
        if name == "stringValue" and isinstance(found, str):
            return found
        if name == "intValue":
            return _integer(found)
        if name == "doubleValue" and isinstance(found, int | float):
            return found
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
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NAN
    try:
        return float(value)
    except OverflowError:
        return _NAN


def _metric(resource: Pairs, metric: dict[str, object], room: DecodingBudget) -> Metric:
    name = _text(metric, "name")
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
        temporality = _temporality(data)
        points = iter(()) if temporality == CUMULATIVE else _exponential(data, room)
        return Metric(resource, name, "histogram", temporality, points)
    return Metric(resource, name, "none", DELTA, iter(()))


def _temporality(data: dict[str, object]) -> int:
    given = data.get("aggregationTemporality")
    if isinstance(given, str):
        return _TEMPORALITIES.get(given, 0)
    return _whole(given)


def _numbers(data: dict[str, object], room: DecodingBudget) -> Iterator[Point]:
    for point in room.of(_list(data, "dataPoints")):
        value: float = _NAN
        if "asInt" in point:
            whole = _integer(point["asInt"])
            value = _NAN if whole is None else _number(whole)
        elif "asDouble" in point:
            value = _number(point["asDouble"])
        yield Point(*_stamped(point), value)


def _stamped(point: dict[str, object]) -> tuple[Pairs, int, int]:
    start, time = _whole(point.get("startTimeUnixNano")), _whole(point.get("timeUnixNano"))
    return _pairs(point), start, time


def _histogram(data: dict[str, object], room: DecodingBudget) -> Iterator[Point]:
    for point in room.of(_list(data, "dataPoints")):
        bounds, counts = point.get("explicitBounds") or [], point.get("bucketCounts") or []
        yield Point(
            *_stamped(point),
            _number(point.get("sum", 0.0)),
            _whole(point.get("count")),
            [_number(bound) for bound in bounds[:200]] if isinstance(bounds, list) else [_NAN],
            [_whole(number) for number in counts[:200]] if isinstance(counts, list) else [],
        )


def _exponential(data: dict[str, object], room: DecodingBudget) -> Iterator[Point]:
    for point in room.of(_list(data, "dataPoints")):
        positive, negative = _object(point, "positive"), _object(point, "negative")
        counts = positive.get("bucketCounts") or []
        found = None
        if isinstance(counts, list) and len(counts) <= 200 and not negative.get("bucketCounts"):
            found = buckets_of(
                _whole(point.get("scale")),
                _whole(point.get("zeroCount")),
                _whole(positive.get("offset")),
                [_whole(number) for number in counts],
            )
        bounds, bucket_counts = found or ([_NAN], [])
        yield Point(
            *_stamped(point),
            _number(point.get("sum", 0.0)),
            _whole(point.get("count")),
            bounds,
            bucket_counts,
        )
