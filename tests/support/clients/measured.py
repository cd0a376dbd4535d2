"""Metrics and errors as clients of several kinds send them, spread over the last day, over HTTP."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable
from typing import Any

MODELS = ("claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5")
TOOLS = ("Bash", "Edit", "Read", "Grep", "Write", "quince-tool")
DELTA = 1


def send_day(ingest: dict[str, str], key: str, *, hours: int = 23) -> Counter[str]:
    """An agent's day: requests that get slower for some hours, some that fail, sessions, tokens,
    tools; and errors of three kinds. How many of each were sent. An hour is left at the beginning,
    so that all of it is within a day for as long as a test may take.
    """
    now = time.time()
    sent: Counter[str] = Counter()
    logs: list[dict[str, Any]] = []
    for step in range(hours * 4):
        at = now - (hours * 4 - step) * 900 + 60
        busy = 1 + 2 * (step % 96 in range(40, 60))
        for number in range(3 + 2 * busy):
            took = 400.0 * busy + 90 * number + step * 3
            name = (
                "claude_code.api_error" if (step + number) % 23 == 0 else "claude_code.api_request"
            )
            sent[name] += 1
            logs.append(
                _log(at, name, model=MODELS[number % 3], duration_ms=took, ttft_ms=took / 3)
            )
            logs.append(
                _log(at, "claude_code.tool_result", tool_name=TOOLS[(step + number) % 6],
                     success=True, duration_ms=took / 10)
            )  # fmt: skip
    logs.append(_log(now, "claude_code.tool_decision", tool_name="Bash", decision="accept"))
    _post(ingest["otlp"] + "/v1/logs", _logs(logs), key)
    points = {"claude_code.session.count": [], "claude_code.token.usage": []}  # type: ignore[var-annotated]
    for step in range(hours * 2):
        at = now - (hours * 2 - step) * 1800 + 60
        sent["sessions"] += 1 + step % 3
        points["claude_code.session.count"].append(_point(at, 1 + step % 3))
        for number, kind in enumerate(("input", "output", "cacheRead", "cacheCreation")):
            points["claude_code.token.usage"].append(
                _point(at, 900 * (4 - number) + step * 20, type=kind, model=MODELS[step % 3])
            )
    _post(ingest["otlp"] + "/v1/metrics", _metrics(points), key)
    for number in range(12):
        module, function = (
            ("bailee.policy.period", "parse"), ("bailee.config", "load"), ("quince.app", "run")
        )[number % 3]  # fmt: skip
        _error(ingest["otlp"], key, module, function, f"bailee-code@1.2.{number % 4}")
    return sent


def _error(url: str, key: str, module: str, function: str, release: str) -> None:
    frames = [
        {"module": "asyncio.runners", "function": "run", "lineno": 190, "in_app": False},
        {"module": module, "function": function, "lineno": 41, "context_line": "quince = 1"},
    ]
    event = {
        "timestamp": time.time(),
        "platform": "python",
        "release": release,
        "environment": "production",
        "tags": {"os.type": "linux"},
        "extra": {"quince": 1},
        "exception": {
            "values": [
                {"type": "ValueError", "value": "quince", "stacktrace": {"frames": frames},
                 "mechanism": {"handled": False}}
            ]
        },
    }  # fmt: skip
    item = json.dumps(event).encode()
    body = b"{}\n" + json.dumps({"type": "event", "length": len(item)}).encode() + b"\n" + item
    request = urllib.request.Request(
        f"{url}/api/1/envelope/?sentry_key={key}", body, {"content-type": "text/plain"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _post(url: str, body: object, key: str) -> None:
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", float: "doubleValue", bool: "boolValue", int: "intValue"}
    return [{"key": k, "value": {kinds[type(v)]: v}} for k, v in given.items()]


_RESOURCE = {
    "attributes": _attributes(
        {"service.name": "claude-code", "service.version": "2.1.197", "host.name": "quince"}
    )
}


def _log(at: float, name: str, **attributes: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(int(at * 1e9)),
        "eventName": name,
        "attributes": _attributes(attributes | {"prompt": "quince"}),
    }


def _logs(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceLogs": [{"resource": _RESOURCE, "scopeLogs": [{"logRecords": list(records)}]}]}


def _point(at: float, value: int, **attributes: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(int(at * 1e9)),
        "startTimeUnixNano": str(int((at - 60) * 1e9)),
        "asInt": str(value),
        "attributes": _attributes(attributes),
    }


def _metrics(points: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    made = [
        {
            "name": name,
            "sum": {"aggregationTemporality": DELTA, "isMonotonic": True, "dataPoints": some},
        }
        for name, some in points.items()
    ]
    made.append({"name": "bailee.sessions.open", "gauge": {"dataPoints": [_point(time.time(), 3)]}})
    return {"resourceMetrics": [{"resource": _RESOURCE, "scopeMetrics": [{"metrics": made}]}]}
