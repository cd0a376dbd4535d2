"""The decoders of every protocol, and payloads that each takes whole: what tests plant into and
mutate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from bailee.registry import Guard, Refusals, load
from bailee.telemetry import otlp_json, otlp_proto, sentry, statsig
from bailee.telemetry.otlp import DecodingBudget, Reader, Streams
from bailee.telemetry.records import Row

NOW_MS = 1_795_000_000_000
REGISTRY = load()
SYMBOLS = {"bailee.gateway.server": frozenset({"Gateway", "start"})}


def reader(refusals: Refusals) -> Reader:
    """A reader of one request."""
    return Reader(Guard(REGISTRY, date(2026, 11, 23)), refusals, NOW_MS, Streams(0))


def events() -> sentry.Events:
    """The reader of Sentry events."""
    return sentry.Events(Guard(REGISTRY, date(2026, 11, 23)), SYMBOLS, b"k" * 32)


def _metrics(module: Any) -> Callable[[bytes, Refusals], list[Row]]:
    return lambda body, refusals: list(
        reader(refusals).metrics(module.read_metrics(body, DecodingBudget()))
    )


def _logs(read: Any) -> Callable[[bytes, Refusals], list[Row]]:
    return lambda body, refusals: [
        row for _, row in reader(refusals).logs(read(body, DecodingBudget()))
    ]


def _spans(module: Any) -> Callable[[bytes, Refusals], list[Row]]:
    return lambda body, refusals: list(
        reader(refusals).spans(module.read_spans(body, DecodingBudget()))
    )


def _envelope(body: bytes, refusals: Refusals) -> list[Row]:
    envelope = sentry.read_envelope(body)
    rows = [
        events().row(item, refusals, NOW_MS) for kind, item in envelope.items if kind == "event"
    ]
    for kind, item in envelope.items:
        if kind == "client_report":
            assert sentry.discarded(item) >= 0
    return rows


DECODERS: dict[str, Callable[[bytes, Refusals], list[Row]]] = {
    "metrics in protobuf": _metrics(otlp_proto),
    "metrics in JSON": _metrics(otlp_json),
    "logs in protobuf": _logs(otlp_proto.read_logs),
    "logs in JSON": _logs(otlp_json.read_logs),
    "spans in protobuf": _spans(otlp_proto),
    "spans in JSON": _spans(otlp_json),
    "Sentry envelope": _envelope,
    "Sentry event": lambda body, refusals: [events().row(body, refusals, NOW_MS)],
    "Statsig": _logs(statsig.read_log_event),
    "event batch": _logs(statsig.read_batch),
}


def decoded(
    decoder: Callable[[bytes, Refusals], list[Row]], body: bytes
) -> tuple[list[Row], Refusals]:
    """What a decoder makes of a body: a refusal counts as nothing."""
    refusals = Refusals()
    try:
        return decoder(body, refusals), refusals
    except (ValueError, RecursionError):
        return [], refusals


KEYS = [
    *("resourceMetrics", "scopeMetrics", "metrics", "resource", "sum", "gauge", "histogram"),
    *("exponentialHistogram", "dataPoints", "asInt", "asDouble", "count", "bucketCounts"),
    *("explicitBounds", "positive", "negative", "scale", "zeroCount", "offset", "isMonotonic"),
    *("aggregationTemporality", "timeUnixNano", "startTimeUnixNano", "name", "resourceLogs"),
    *("scopeLogs", "logRecords", "body", "eventName", "resourceSpans", "scopeSpans", "spans"),
    *("endTimeUnixNano", "status", "code", "events", "eventName", "metadata", "value", "time"),
    *("statsigMetadata", "user", "event_data", "event_name", "env", "exception", "values", "type"),
    *("stacktrace", "frames", "module", "function", "lineno", "in_app", "vars", "context_line"),
    *("level", "platform", "release", "environment", "sdk", "contexts", "runtime", "os", "tags"),
    *("timestamp", "mechanism", "handled", "discarded_events", "quantity"),
]


EVENT = {
    "event_id": "a" * 32,
    "timestamp": NOW_MS / 1000,
    "level": "error",
    "platform": "python",
    "release": "bailee@1.2.3",
    "environment": "production",
    "server_name": "quince",
    "exception": {
        "values": [
            {
                "type": "ValueError",
                "value": "quince",
                "mechanism": {"handled": False},
                "stacktrace": {
                    "frames": [
                        {"module": "quince.app", "function": "quince", "lineno": 3, "vars": {}},
                        {"module": "asyncio.quince", "function": "quince", "in_app": False},
                        {
                            "module": "bailee.gateway.server",
                            "function": "Gateway.start",
                            "lineno": 9,
                        },
                        {
                            "module": "bailee.gateway.server",
                            "function": "Gateway.quince",
                            "lineno": 8,
                        },
                        {"module": "bailee.quince", "function": "start", "lineno": 7},
                    ]
                },
            }
        ]
    },
}


def _attributes(**given: Any) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", bool: "boolValue", float: "doubleValue"}
    return [{"key": key, "value": {kinds[type(v)]: v}} for key, v in given.items()]


_RESOURCE = {"attributes": [*_attributes(model="gpt-5"), *_attributes(version="1.2")]}
_POINT = {"attributes": _attributes(command="up", outcome="ok"), "timeUnixNano": "7", "asInt": "3"}
_BUCKETS = {"count": 3, "sum": 6.5, "explicitBounds": [1.0, 2.0], "bucketCounts": ["1", "1", "1"]}
_METRICS = [
    {
        "name": "bailee.command.count",
        "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [_POINT]},
    },
    {"name": "bailee.sessions.open", "gauge": {"dataPoints": [_POINT]}},
    {
        "name": "bailee.turn.duration",
        "histogram": {"aggregationTemporality": 1, "dataPoints": [_BUCKETS]},
    },
]
_RECORD = {
    "eventName": "bailee.command",
    "body": {"stringValue": "some text"},
    "attributes": _attributes(command="up", duration_ms=5, success=True),
}
_SPAN = {
    "name": "claude_code.tool", "traceId": "ab" * 16, "startTimeUnixNano": "5",
    "endTimeUnixNano": "9", "status": {"code": 2}, "attributes": _attributes(tool_name="Bash"),
}  # fmt: skip
_EVENT = {
    "eventName": "bailee.command", "value": 5, "time": NOW_MS, "user": {"userID": "u"},
    "metadata": {"command": "up"}, "statsigMetadata": {"sdkType": "py-server"},
}  # fmt: skip
_DATA = {
    "event_name": "tengu_api_request", "model": "gpt-5", "duration_ms": 7,
    "env": {"platform": "linux", "version": "1.2"},
}  # fmt: skip
TEMPLATES: dict[str, Any] = {
    "metrics in JSON": {
        "resourceMetrics": [{"resource": _RESOURCE, "scopeMetrics": [{"metrics": _METRICS}]}]
    },
    "logs in JSON": {
        "resourceLogs": [{"resource": _RESOURCE, "scopeLogs": [{"logRecords": [_RECORD]}]}]
    },
    "spans in JSON": {
        "resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"spans": [_SPAN]}]}]
    },
    "Sentry event": EVENT
    | {
        "sdk": {"name": "sentry.python", "version": "2.1"},
        "tags": {"bailee.installation.id": "0" * 32},
        "contexts": {"runtime": {"name": "CPython", "version": "3.11"}, "os": {"name": "Linux"}},
    },
    "Statsig": {
        "events": [_EVENT],
        "statsigMetadata": {"sdkType": "py-server", "sdkVersion": "1.2"},
    },
    "event batch": {"events": [{"event_type": "x", "event_data": _DATA}]},
}
