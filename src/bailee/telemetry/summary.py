"""What operators ask of metrics first: how quick, how reliable, how used; of any stretch of time.

Rules kept here:

* Figures of the gateway's own measuring and of what clients measured stand apart: each has its
  program's name, since the same request may be in both.
* The error rate counts every request that ended in an error. Availability counts those that were
  the service's fault: an answer of 5xx, none at all, or none in time. What was the caller's (a
  malformed request, a wrong key, a quota) and what a person broke off is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from bailee.errors import InputError
from bailee.registry import Registry
from bailee.telemetry.days import Days
from bailee.telemetry.queries import Between, FigureRow, MetricQueries, moment
from bailee.telemetry.records import METRIC

if TYPE_CHECKING:
    import pyarrow as pa

# By program, the measures in which its requests are: the first of each group that has any.
REQUESTS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "bailee-gateway": (("bailee.exchange.duration",),),
    "bailee-code": (("bailee.request.duration",), ("bailee.request",)),
    "claude-code": (("claude_code.api_request", "claude_code.api_error"),),
    "opentelemetry": (("gen_ai.client.operation.duration",),),
}
FAILED: Final = frozenset({"claude_code.api_error"})
CALLERS: Final = frozenset(
    {
        "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
        "request_too_large", "rate_limit_error",
    }
)  # fmt: skip
SESSIONS: Final = {
    "claude_code.session.count": "claude-code",
    "bailee.session.count": "bailee-code",
}
TOKENS: Final = ("claude_code.token.usage", "bailee.token.usage")
COMMANDS: Final = ("bailee.command.count", "bailee.command")
TOOLS: Final = ("claude_code.tool_result", "bailee.tool.count")
_TYPES: Final = {"cacheRead": "cache_read", "cacheCreation": "cache_creation"}
_SUMMED: Final = frozenset(
    {*SESSIONS, *TOKENS, "bailee.command.count", "bailee.tool.count"}
)  # counters: what was added, not how many rows
_GROUPS: Final = 100_000

_Group = TypedDict(
    "_Group",
    {
        "step": int,
        "hundreds": float | None,
        "name": str,
        "value_sum": float | None,
        "count_sum": int | None,
        "a.outcome": str | None,
        "a.error_type": str | None,
        "a.model": str | None,
        "a.type": str | None,
        "a.tool_name": str | None,
        "a.command": str | None,
    },
)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one measure's took (`name`; None: none has figures): in all, and by step.
    `choices`: the measures of time that have figures.
    """

    name: str | None
    unit: str
    description: str | None
    whole: FigureRow | None
    rows: list[FigureRow]
    choices: list[str]


@dataclass(frozen=True, slots=True)
class Program:
    """How the requests of a program ended. `faults`: those that were the service's fault."""

    program: str
    requests: int
    errors: int
    faults: int
    error_rate: float | None
    availability: float | None


@dataclass(frozen=True, slots=True)
class ProgramStep:
    """The same in a step of time."""

    at: datetime
    program: str
    requests: int
    errors: int
    faults: int
    error_rate: float | None
    availability: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How requests ended, by program: in all, and by step."""

    programs: list[Program]
    rows: list[ProgramStep]


@dataclass(frozen=True, slots=True)
class SessionCount:
    """How many sessions a program began in a step of time."""

    at: datetime
    program: str
    sessions: int


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens of a type were used in a step of time."""

    at: datetime
    type: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ModelTokens:
    """How many tokens of a model were used."""

    model: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Feature:
    """How often a command or a tool (`kind`) was used."""

    kind: str
    feature: str
    uses: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How much was used: by step of time, and in all, the most first."""

    sessions: list[SessionCount]
    tokens: list[TokenCount]
    models: list[ModelTokens]
    features: list[Feature]


@dataclass(frozen=True, slots=True)
class Summary:
    """How quick, how reliable and how used the service was; `step`: seconds."""

    since: datetime
    until: datetime
    step: int
    latency: Latency
    reliability: Reliability
    usage: Usage


@dataclass(slots=True)
class _Requests:
    """How requests ended: all, those in error, those that were the service's fault."""

    all: int = 0
    errors: int = 0
    faults: int = 0
    cancelled: int = 0

    def rates(self) -> tuple[int, int, int, float | None, float | None]:
        meant = self.all - self.cancelled
        return (
            self.all,
            self.errors,
            self.faults,
            self.errors / self.all if self.all else None,
            1 - self.faults / meant if meant else None,
        )


class Summaries:
    """Summaries of one home's figures. Operations ask, on any thread; each summary reads the files
    anew. It keeps nothing.
    """

    def __init__(self, days: Days, metrics: MetricQueries, registry: Registry) -> None:
        self._days = days
        self._metrics = metrics
        self._registry = registry

    def summary(
        self, between: Between, step: timedelta, now: datetime, *, latency: str | None = None
    ) -> Summary:
        """Latency of one measure (the first that has figures, if none is named), reliability, and
        usage: in all and by steps of time.

        Raises:
            InputError: there is no such measure, or it is none of time.
        """
        if latency is not None and not self.is_time(latency):
            raise InputError("there is no such measure of time.", code="not_found")
        names = [one.name for one in self._metrics.names(now, between)]
        timed = [name for name in dict.fromkeys(names) if self.is_time(name)]
        timed.sort(key=lambda name: (name != "bailee.exchange.duration", name))
        chosen = latency or next(iter(timed), None)
        table = self._read(between, now)
        rows = list(_grouped(table, step))
        return Summary(
            between.since,
            between.until,
            int(step.total_seconds()),
            self._latency(chosen, timed, between, step, now),
            _reliability(rows),
            _usage(rows),
        )

    def is_time(self, name: str) -> bool:
        """Whether a measure is one of how long something took."""
        measure = self._registry.measures.get(name)
        if measure is None:
            return False
        if measure.kind == "histogram":
            return measure.unit in ("ms", "s")
        return measure.kind == "span" or (measure.of or "").endswith("_ms")

    def _latency(
        self, name: str | None, timed: list[str], between: Between, step: timedelta, now: datetime
    ) -> Latency:
        if name is None:
            return Latency(None, "ms", None, None, [], timed)
        asked = self._metrics.query(name, between, now, step=step)
        whole = self._metrics.query(name, between, now).rows
        return Latency(
            name, asked.unit or "ms", asked.description, next(iter(whole), None), asked.rows, timed
        )

    def _read(self, between: Between, now: datetime) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        since, until = between.milliseconds
        columns = [
            "at", "name", "value", "count", "a.outcome", "a.error_type", "a.status_code",
            "a.model", "a.type", "a.tool_name", "a.command",
        ]  # fmt: skip
        table = self._days.read(METRIC, columns, now=now, since_ms=since, until_ms=until)
        wanted = [name for groups in REQUESTS.values() for group in groups for name in group]
        wanted += [*SESSIONS, *TOKENS, *COMMANDS, *TOOLS]
        at = table.column("at")
        inside = pc.and_(pc.greater_equal(at, since), pc.less(at, until))
        known = pc.is_in(table.column("name").cast("string"), value_set=pa.array(wanted))
        return table.filter(pc.and_(inside, known))


def _grouped(table: pa.Table, step: timedelta) -> Iterator[_Group]:
    """One row for each step and way of being alike, with its sum and count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    width = pa.scalar(max(1, int(step.total_seconds() * 1000)), pa.int64())
    begun = pc.multiply(pc.divide(table.column("at"), width), width)
    hundreds = pc.floor(pc.divide(table.column("a.status_code"), 100.0))
    columns = {name: table.column(name) for name in table.column_names if name != "at"}
    del columns["a.status_code"]
    whole = pa.table(columns | {"step": begun, "hundreds": hundreds})
    keys = [name for name in whole.column_names if name not in ("value", "count")]
    found = whole.group_by(keys).aggregate([("value", "sum"), ("count", "sum")])
    yield from found.slice(0, _GROUPS).to_pylist()


def _reliability(rows: Iterable[_Group]) -> Reliability:
    by_name: dict[str, list[_Group]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    programs = []
    steps = []
    for program, groups in REQUESTS.items():
        measured = next((g for g in groups if any(name in by_name for name in g)), None)
        if measured is None:
            continue
        whole = _Requests()
        by_step: dict[int, _Requests] = {}
        for name in measured:
            for row in by_name.get(name, ()):
                for into in (whole, by_step.setdefault(row["step"], _Requests())):
                    _count(into, name, row)
        programs.append(Program(program, *whole.rates()))
        steps += [
            ProgramStep(moment(step), program, *by_step[step].rates()) for step in sorted(by_step)
        ]
    return Reliability(programs, steps)


def _count(into: _Requests, name: str, row: _Group) -> None:
    number = int(row["count_sum"] or 0)
    into.all += number
    outcome, kind = row["a.outcome"], row["a.error_type"]
    if outcome == "cancelled":
        into.cancelled += number
    elif name in FAILED or kind is not None or outcome not in (None, "ok"):
        into.errors += number
        if kind not in CALLERS and row["hundreds"] != 4 and outcome != "refused":
            into.faults += number


def _usage(rows: Iterable[_Group]) -> Usage:
    sessions: Counter[tuple[int, str]] = Counter()
    tokens: Counter[tuple[int, str]] = Counter()
    models: Counter[str] = Counter()
    features: dict[str, Counter[str]] = {"command": Counter(), "tool": Counter()}
    for row in rows:
        name = row["name"]
        number = row["value_sum"] if name in _SUMMED else row["count_sum"]
        number = round(number or 0)
        if name in SESSIONS:
            sessions[row["step"], SESSIONS[name]] += number
        elif name in TOKENS:
            kind = str(row["a.type"] or "other")
            tokens[row["step"], _TYPES.get(kind, kind)] += number
            models[str(row["a.model"] or "other")] += number
        elif name in COMMANDS:
            features["command"][str(row["a.command"] or "other")] += number
        elif name in TOOLS:
            features["tool"][str(row["a.tool_name"] or "other")] += number
    return Usage(
        [
            SessionCount(moment(step), program, number)
            for (step, program), number in sorted(sessions.items())
        ],
        [TokenCount(moment(step), kind, number) for (step, kind), number in sorted(tokens.items())],
        [ModelTokens(name, number) for name, number in models.most_common()],
        [
            Feature(kind, name, number)
            for kind, counts in features.items()
            for name, number in counts.most_common()
        ],
    )
