"""What the client sends, as exact bytes. Pure.

Metrics are OTLP/HTTP in JSON, errors are Sentry envelopes, a report is what redirected clients
send, a rating is one field. The bytes are made here rather than by the SDKs of those protocols,
because the SDKs gather on their own (host name, arguments, source lines) what could only be taken
out again, and because the outbox has to show the very bytes.

Rules kept here:

* Metrics and errors are made of declared fields alone: this module takes nothing else.
* A rating holds the rating. No time, no session, no version, no order of keys to tell apart.

Standard: OTLP 1.x (JSON mapping), Sentry envelopes.
Rows: S1, S2, F1, F3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bailee.client.declared import ErrorEvent, Metric, Resource, Scalar
from bailee.errors import InputError

_SCOPE: Final = {"name": "bailee"}
_DELTA: Final = 1
_BOUNDS: Final = (10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)


@dataclass(frozen=True, slots=True)
class Payload:
    """One request's body. `flow` is the policy's name of the flow it belongs to."""

    flow: str
    path: str
    content_type: str
    body: bytes = field(repr=False)


def metrics(
    measured: Sequence[Metric], resource: Resource, *, since: datetime, until: datetime
) -> Payload:
    """Metrics of one stretch of time, as deltas."""
    by_name: dict[str, list[Metric]] = {}
    for metric in measured:
        by_name.setdefault(metric.declaration.name, []).append(metric)
    times = {"startTimeUnixNano": _nanoseconds(since), "timeUnixNano": _nanoseconds(until)}
    document = {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes(resource.fields)},
                "scopeMetrics": [
                    {
                        "scope": _SCOPE,
                        "metrics": [_metric(group, times) for group in by_name.values()],
                    }
                ],
            }
        ]
    }
    return Payload("metrics", "/v1/metrics", "application/json", _json(document))


def error(event: ErrorEvent, resource: Resource, *, at: datetime, event_id: str) -> Payload:
    """One error event. `event_id`: 32 hexadecimal digits, random."""
    fields, about = event.fields, resource.fields
    frames = [
        {"module": f.get("module"), "function": f.get("function"), "lineno": f.get("line")}
        for f in event.frames
    ]
    content = _json(
        {
            "event_id": event_id,
            "timestamp": at.isoformat(timespec="seconds"),
            "platform": "python",
            "level": "warning" if fields.get("handled") else "error",
            "release": f"{about['service.name']}@{about['service.version']}",
            "tags": {k: str(v) for k, v in about.items()},
            "exception": {
                "values": [
                    {
                        "type": fields.get("exception"),
                        "mechanism": {
                            "type": "generic", "handled": fields.get("handled", False)
                        },
                        "stacktrace": {"frames": frames},
                    }
                ]
            },
        }
    )  # fmt: skip
    head = _json({"event_id": event_id})
    item = _json({"type": "event", "content_type": "application/json", "length": len(content)})
    body = b"\n".join((head, item, content)) + b"\n"
    return Payload("errors", "/api/1/envelope/", "application/x-sentry-envelope", body)


def rating(answer: str, answers: Sequence[str]) -> Payload:
    """A survey answer and nothing else.

    Raises:
        InputError: not one of the policy's answers.
    """
    if answer not in answers:
        raise InputError("This is not an answer of the survey.", hint=", ".join(answers))
    return Payload("survey", "/api/v1/survey", "application/json", _json({"rating": answer}))


def report(content: dict[str, object]) -> Payload:
    """A bug report, in the shape that coding agents use: a JSON text within JSON."""
    inner = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    body = _json({"content": inner})
    return Payload("bug_report", "/api/claude_cli_feedback", "application/json", body)


def _metric(group: Sequence[Metric], times: dict[str, str]) -> dict[str, Any]:
    declaration = group[0].declaration
    by_fields: dict[str, list[Metric]] = {}
    for metric in group:
        by_fields.setdefault(json.dumps(metric.fields, sort_keys=True), []).append(metric)
    points = []
    for same in by_fields.values():
        values = [metric.value for metric in same]
        point: dict[str, Any] = {"attributes": _attributes(same[0].fields), **times}
        if declaration.kind == "counter":
            total = sum(values)
            whole = all(isinstance(value, int) for value in values)
            point |= {"asInt": str(total)} if whole else {"asDouble": float(total)}
        else:
            point |= {
                "count": str(len(values)),
                "sum": float(sum(values)),
                "min": float(min(values)),
                "max": float(max(values)),
                "explicitBounds": list(_BOUNDS),
                "bucketCounts": [str(count) for count in _buckets(values)],
            }
        points.append(point)
    about: dict[str, Any] = {"name": declaration.name, "unit": declaration.unit}
    if declaration.kind == "counter":
        data = {"aggregationTemporality": _DELTA, "isMonotonic": True, "dataPoints": points}
        return {**about, "sum": data}
    return {**about, "histogram": {"aggregationTemporality": _DELTA, "dataPoints": points}}


def _buckets(values: Sequence[float]) -> list[int]:
    counts = [0] * (len(_BOUNDS) + 1)
    for value in values:
        counts[sum(value > bound for bound in _BOUNDS)] += 1
    return counts


def _attributes(fields: Any) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in fields.items()]


def _value(value: Scalar) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def _nanoseconds(moment: datetime) -> str:
    return str(int(moment.timestamp()) * 1_000_000_000)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
