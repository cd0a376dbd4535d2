"""The operator's pages of metrics: how quick, how reliable, how used; a measure; what was dropped.

They are the operator's alone: what is kept says nothing about whose it is, so an organisation's own
part can't be told from the rest (decision 57).

Rows: S1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from starlette.responses import Response

from bailee.console import plots
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates, drawn
from bailee.console.parts import Parts
from bailee.console.plots import PlotWords, Series
from bailee.errors import InputError
from bailee.operations import telemetry
from bailee.telemetry.queries import FigureName, FigureRow, Figures
from bailee.telemetry.summary import Latency, Summary

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time up to now, and the steps that it is shown in."""

    name: str
    step: str
    seconds: int
    step_seconds: int

    def moments(self, now: datetime) -> list[datetime]:
        """The beginnings of its steps."""
        last = int(now.timestamp()) // self.step_seconds
        first = (int(now.timestamp()) - self.seconds) // self.step_seconds
        return [
            datetime.fromtimestamp(number * self.step_seconds, UTC)
            for number in range(first, last + 1)
        ]


class Amount(NamedTuple):
    """How much there was of something in a step of time."""

    at: datetime
    name: str
    amount: float


RANGES: Final[Mapping[str, Range]] = {
    "1h": Range("1h", "1m", 3600, 60),
    "24h": Range("24h", "30m", 86_400, 1800),
    "7d": Range("7d", "4h", 7 * 86_400, 4 * 3600),
    "30d": Range("30d", "1d", 30 * 86_400, 86_400),
}


class Metrics:
    """The handlers of metrics, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests; all it shows comes from operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """Latency, reliability, usage."""
        span = _range(ask)
        moments = span.moments(ask.now)
        latency = ask.query.get("latency") or None
        found = self._do(ask, telemetry.summary, span.name, span.step, latency)
        quick = _in_milliseconds(found.latency)
        return self._frame.page(
            ask,
            "admin/metrics.html",
            here="metrics",
            **_chosen(ask, span),
            found=found,
            quick=quick,
            pictures=_pictures(ask, moments, found, quick),
            spread={"sessions": _spread(_sessions(found)), "tokens": _spread(_tokens(found))},
            measures=self._do(ask, telemetry.measures),
            destinations=self._do(ask, telemetry.destinations),
        )

    def measure(self, ask: Ask) -> Response:
        """One measure, by a field if wanted."""
        span = _range(ask)
        name, by = ask.path["measure"], ask.query.get("by") or None
        fields = (by,) if by else ()
        found = self._do(ask, telemetry.query, name, since=span.name, by=fields)
        steps = self._do(ask, telemetry.query, name, since=span.name, by=fields, step=span.step)
        return self._frame.page(
            ask,
            "admin/measure.html",
            here="metrics",
            **_chosen(ask, span),
            found=found,
            steps=steps.rows,
            by=by,
            picture=_measure_picture(ask, span.moments(ask.now), steps, by),
            figures=[
                key
                for key in (found.rows[0] if found.rows else {})
                if key not in ("group", "at", "approximate")
            ],
        )

    def dropped(self, ask: Ask) -> Response:
        """What clients sent that may not be kept, by field."""
        rows = _by_field(self._do(ask, telemetry.dropped))
        words = ask.words
        said = PlotWords(
            "dropped", words("metrics.dropped_title"), words("metrics.dropped_picture")
        )
        return self._frame.page(
            ask,
            "admin/dropped.html",
            here="metrics",
            rows=rows,
            picture=drawn(plots.bars(_added((row.field, row.count) for row in rows), said)),
        )


def _range(ask: Ask) -> Range:
    wanted = ask.query.get("range", "24h")
    if wanted not in RANGES:
        raise InputError(ask.words("metrics.no_range", ranges=", ".join(RANGES)))
    return RANGES[wanted]


def _chosen(ask: Ask, span: Range) -> dict[str, object]:
    """What the page was asked for, and what else there is."""
    return {
        "range": span.name,
        "ranges": list(RANGES),
        "tables": ask.query.get("view") == "table",
        "latency": ask.query.get("latency", ""),
    }


def _in_milliseconds(latency: Latency) -> Latency:
    """Latency with every figure in milliseconds, whatever the measure's own unit."""
    times = 1000 if latency.unit == "s" else 1
    keys: Final[tuple[FigureName, ...]] = ("p50", "p90", "p95", "p99", "mean")

    def scaled(row: FigureRow) -> FigureRow:
        made = row.copy()
        for key in keys:
            if (value := row.get(key)) is not None:
                made[key] = value * times
        return made

    whole = latency.whole
    return replace(
        latency,
        whole=None if whole is None else scaled(whole),
        rows=[scaled(row) for row in latency.rows],
    )


def _sessions(found: Summary) -> list[Amount]:
    return [Amount(one.at, one.program, one.sessions) for one in found.usage.sessions]


def _tokens(found: Summary) -> list[Amount]:
    return [Amount(one.at, one.type, one.tokens) for one in found.usage.tokens]


def _pictures(
    ask: Ask, moments: Sequence[datetime], found: Summary, quick: Latency
) -> dict[str, object]:
    words = ask.words
    divisor, unit = _time_unit(row["p99"] for row in quick.rows)
    latency = [
        Series(
            name, _over(moments, ((row["at"], _divided(row[name], divisor)) for row in quick.rows))
        )
        for name in ("p50", "p95", "p99")
    ]
    made, usage = found.reliability, found.usage
    errors = [
        Series(
            one.program,
            _over(
                moments,
                (
                    (row.at, None if row.error_rate is None else row.error_rate * 100)
                    for row in made.rows
                    if row.program == one.program
                ),
            ),
        )
        for one in made.programs
    ]
    most = max((v for one in errors for v in one.values if v is not None), default=0.0)
    sessions = _stacked(moments, _sessions(found))
    tokens = _stacked(moments, _tokens(found))
    made_of = {
        "latency": plots.lines(
            moments, latency, _said(ask, "latency", latency, moments, unit=unit)
        ),
        "errors": plots.lines(
            moments,
            errors,
            _said(ask, "errors", errors, moments, unit="%"),
            most=max(1.0, most),
        ),
        "sessions": plots.stack(moments, sessions, _said(ask, "sessions", sessions, moments)),
        "tokens": plots.stack(moments, tokens, _said(ask, "tokens", tokens, moments)),
        "models": plots.bars(
            {row.model: row.tokens for row in usage.models},
            PlotWords("models", words("metrics.models"), words("metrics.bars")),
        ),
        "features": plots.bars(
            {
                f"{row.feature} ({words('metrics.kind_' + row.kind)})": row.uses
                for row in usage.features
            },
            PlotWords("features", words("metrics.features"), words("metrics.bars")),
        ),
    }
    return {key: drawn(picture) for key, picture in made_of.items()}


def _measure_picture(
    ask: Ask, moments: Sequence[datetime], steps: Figures, by: str | None
) -> object:
    """One measure over time: what was added of a counter, the last of a gauge; of others the p95 by
    group, or several percentiles of the whole.
    """
    rows, kind = steps.rows, steps.kind
    if kind == "counter":
        flat = [Amount(row["at"], _group(row, by, steps.name), row["sum"] or 0.0) for row in rows]
        series = _stacked(moments, flat)
        return drawn(plots.stack(moments, series, _said(ask, "measure", series, moments)))
    whole: list[FigureName] = ["p95"] if by else ["p50", "p95", "p99"]
    keys: list[FigureName] = ["last"] if kind == "gauge" else whole
    groups = list(dict.fromkeys(_group(row, by, steps.name) for row in rows))[:_SHOWN]
    series = [
        Series(
            key if by is None else group,
            _over(
                moments,
                ((row["at"], row[key]) for row in rows if _group(row, by, steps.name) == group),
            ),
        )
        for group in groups
        for key in keys
    ]
    return drawn(plots.lines(moments, series, _said(ask, "measure", series, moments)))


def _group(row: FigureRow, by: str | None, whole: str) -> str:
    if by is None:
        return whole
    value = row["group"][by]
    return "–" if value is None else str(value)


def _over(
    moments: Sequence[datetime], values: Iterable[tuple[datetime, float | None]]
) -> list[float | None]:
    """The values at the moments; None where there is none."""
    by_moment = dict(values)
    return [by_moment.get(at) for at in moments]


def _stacked(moments: Sequence[datetime], amounts: Sequence[Amount]) -> list[Series]:
    """A series for each name, the largest first."""
    totals: dict[str, float] = {}
    for one in amounts:
        totals[one.name] = totals.get(one.name, 0) + one.amount
    return [
        Series(name, _over(moments, ((one.at, one.amount) for one in amounts if one.name == name)))
        for name in sorted(totals, key=lambda name: -totals[name])[:_SHOWN]
    ]


def _spread(amounts: Sequence[Amount]) -> tuple[list[str], dict[datetime, list[float]]]:
    """The names, and for each moment an amount for each of them."""
    columns = sorted({one.name for one in amounts})
    moments: dict[datetime, list[float]] = {}
    for one in amounts:
        moments.setdefault(one.at, [0] * len(columns))[columns.index(one.name)] = one.amount
    return columns, moments


def _said(
    ask: Ask,
    key: str,
    series: Sequence[Series],
    moments: Sequence[datetime],
    *,
    unit: str = "",
) -> PlotWords:
    """A plot's words: title, and for each line its least, most and last."""
    words = ask.words
    sentences = []
    for one in series:
        values = [value for value in one.values if value is not None]
        if values:
            sentences.append(
                words(
                    "metrics.line",
                    name=one.name,
                    least=f"{min(values):.4g}{unit}",
                    most=f"{max(values):.4g}{unit}",
                    last=f"{values[-1]:.4g}{unit}",
                )
            )
    when = words(
        "metrics.between",
        since=f"{moments[0]:%Y-%m-%d %H:%M}",
        until=f"{moments[-1]:%Y-%m-%d %H:%M}",
    )
    said = " ".join([when, *(sentences or [words("metrics.nothing")])])
    return PlotWords(key, words(f"metrics.{key}"), said, unit)


def _time_unit(values: Iterable[float | None]) -> tuple[float, str]:
    """Milliseconds up to ten seconds, else seconds."""
    most = max((value for value in values if value is not None), default=0.0)
    return (1000.0, " s") if most >= 10_000 else (1.0, " ms")


def _divided(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _added(amounts: Iterable[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, amount in amounts:
        found[name] += amount
    return found


@dataclass(slots=True)
class _Dropped:
    """How often a field was dropped for one reason, in all and by sender. One page's own."""

    field: str
    reason: str
    why: str | None
    last: str
    senders: Counter[str]
    count: int = 0


def _by_field(rows: Iterable[telemetry.DroppedField]) -> list[_Dropped]:
    """Counts of what was dropped, added up by field and reason, the most first."""
    found: dict[tuple[str, str], _Dropped] = {}
    for row in rows:
        named = (row.field, row.reason)
        into = found.setdefault(named, _Dropped(*named, row.why, row.day, Counter()))
        into.count += row.count
        into.last = max(into.last, row.day)
        into.senders[f"{row.service} ({row.protocol})"] += row.count
    return sorted(found.values(), key=lambda one: -one.count)
