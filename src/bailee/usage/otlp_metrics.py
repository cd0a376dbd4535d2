"""What was used, as OpenTelemetry metrics: counts and cost, by whom it was asked for. Pure.

Rules kept here:

* Sums are cumulative, from the first moment that was asked for: who sends them again sends the same
  and more, and a collector counts nothing twice.
* Ids and names that `bailee usage` shows, and nothing else.

Standards: OTLP 1.x in JSON (`ExportMetricsServiceRequest`); of the semantic conventions the names
of a person, a model and a token's type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bailee.money import MICRO

_CUMULATIVE: Final = 2
_CALLED: Final = {"person": "user.id", "model": "gen_ai.request.model"}
_TOKENS: Final = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cache_read": ("cache_read_tokens",),
    "cache_write": ("cache_write_5m_tokens", "cache_write_1h_tokens"),
}
_COUNTS: Final = {
    "requests": "Requests of conversations, those that were refused included.",
    "errors": "Requests that were answered with an error.",
    "refused": "Requests that a limit, a list of models or a clause refused.",
    "unpriced": "Requests whose price is not known: they are not in the cost.",
}


class UsedBy(NamedTuple):
    """What was used under one group: `group` has a value for each of what it was asked by,
    `amounts` the counts by their names in `bailee usage`.
    """

    group: Mapping[str, str]
    amounts: Mapping[str, int]


def request(
    by: Sequence[str], rows: Sequence[UsedBy], since: datetime, now: datetime
) -> dict[str, object]:
    """The whole document. `by`: what the rows are grouped by; `since`: from when they count."""
    times = {"startTimeUnixNano": _nano(since), "timeUnixNano": _nano(max(since, now))}

    def points(amounts: Sequence[tuple[dict[str, str], Mapping[str, object]]]) -> list[object]:
        return [{"attributes": _pairs(named), **times, **value} for named, value in amounts]

    def metric(name: str, unit: str, said: str, found: list[object]) -> dict[str, object]:
        total = {"aggregationTemporality": _CUMULATIVE, "isMonotonic": True, "dataPoints": found}
        return {"name": f"bailee.usage.{name}", "unit": unit, "description": said, "sum": total}

    grouped = [
        ({_CALLED.get(one, f"bailee.{one}"): row.group[one] for one in by}, row.amounts)
        for row in rows
    ]
    made: list[object] = [
        metric(name, "{request}", said, points([(of, _whole(row[name])) for of, row in grouped]))
        for name, said in _COUNTS.items()
    ]
    tokens = [
        ({**of, "gen_ai.token.type": kind}, _whole(sum(row[one] for one in names)))
        for of, row in grouped
        for kind, names in _TOKENS.items()
    ]
    made.append(metric("tokens", "{token}", "Tokens.", points(tokens)))
    cost = [(of, {"asDouble": row["cost_micro_usd"] / MICRO}) for of, row in grouped]
    made.append(metric("cost", "USD", "Cost, as far as prices are known.", points(cost)))
    resource = {"attributes": _pairs({"service.name": "bailee"})}
    scope = {"scope": {"name": "bailee.usage"}, "metrics": made}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}


def _whole(amount: int) -> dict[str, object]:
    return {"asInt": str(amount)}


def _nano(at: datetime) -> str:
    return str(int(at.timestamp()) * 1_000_000_000)


def _pairs(named: dict[str, str]) -> list[object]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]
