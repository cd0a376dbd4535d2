"""Questions to the figures that are kept, by group and time.

Rules kept here:

* What is past its time at `now` is not counted, whether it was swept yet or not.
* Percentiles of events and spans are a t-digest's (exact for a few hundred values); of histograms
  they are interpolated within a bucket. Both are marked `approximate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypedDict

import orjson

from bailee.errors import InputError
from bailee.registry import Measure, Registry
from bailee.telemetry.days import Days
from bailee.telemetry.records import METRIC

if TYPE_CHECKING:
    import pyarrow as pa

_Key: TypeAlias = tuple[str | int | float | bool | None, ...]
QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
_MOST_GROUPS = 10_000
_MOST_BOUNDS = 20


@dataclass(frozen=True, slots=True)
class Between:
    """A stretch of time: `since` included, `until` not."""

    since: datetime
    until: datetime

    @property
    def milliseconds(self) -> tuple[int, int]:
        """Both ends as Unix milliseconds."""
        return int(self.since.timestamp() * 1000), int(self.until.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of which something is kept: in how many rows, from when to when."""

    name: str
    kind: str
    unit: str | None
    points: int
    first: datetime
    last: datetime


Group: TypeAlias = dict[str, str | int | float | bool | None]
"""Which values of the fields these figures are of."""


FigureName: TypeAlias = Literal["sum", "mean", "last", "min", "max", "p50", "p90", "p95", "p99"]
"""The figures that may be missing though there is a row: there is nothing to take them of."""


class FigureRow(TypedDict, total=False):
    """The figures of one group, in one step of time if there are steps: those that the measure's
    kind has. `approximate`: its quantiles are.
    """

    group: Group
    at: datetime
    count: int
    points: int
    sum: float | None
    mean: float | None
    last: float | None
    min: float | None
    max: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    approximate: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one measure. `of`: the numeric field they are of; `fields`: what they may be
    grouped by. Each row has its `group` by field, with steps of time the moment `at` where its step
    begins, and figures as they are made of that kind of measure: count, sum, mean, p50, ...
    """

    name: str
    kind: str
    of: str | None
    unit: str | None
    description: str
    fields: list[str]
    since: datetime
    until: datetime
    rows: list[FigureRow]


class MetricQueries:
    """Questions to the figures. Operations and summaries ask, on any thread; each question reads
    the files anew. It keeps nothing, and never says whose a figure was.
    """

    def __init__(self, days: Days, registry: Registry) -> None:
        self._days = days
        self._registry = registry

    def names(self, now: datetime, between: Between | None = None) -> list[Measured]:
        """The measures of which something is kept, with how much; of a stretch of time if given."""
        since, until = (0, 1 << 62) if between is None else between.milliseconds
        wanted = ["at", "name", "kind", "count"]
        table = self._days.read(METRIC, wanted, now=now, since_ms=since, until_ms=until)
        table = table.filter(_inside(table, since, until))
        grouped = table.group_by(["name", "kind"]).aggregate(
            [("at", "min"), ("at", "max"), ("count", "count")]
        )
        return sorted(
            (
                Measured(
                    row["name"],
                    row["kind"],
                    self._unit(row["name"]),
                    row["count_count"],
                    moment(row["at_min"]),
                    moment(row["at_max"]),
                )
                for row in grouped.to_pylist()
            ),
            key=lambda measured: measured.name,
        )

    def query(
        self,
        name: str,
        between: Between,
        now: datetime,
        *,
        by: Sequence[str] = (),
        of: str | None = None,
        step: timedelta | None = None,
    ) -> Figures:
        """The figures of one measure: in all, by the fields `by`, and by steps of time.

        `of`: the numeric field to take, for events; else the one that the registry names.

        Raises:
            InputError: the measure or a field is not declared, or not of that kind.
        """
        measure = self._measure(name, by, of)
        column = "value" if of is None else f"a.{of}"
        keys = [f"a.{field}" for field in by]
        wanted = ["at", "name", *keys]
        wanted += ["value", "count"] if column == "value" else [column, "count"]
        if measure.kind == "histogram":
            wanted += ["bounds", "counts"]
        since, until = between.milliseconds
        table = self._days.read(METRIC, wanted, now=now, since_ms=since, until_ms=until)
        table = _within(table, since, until, "name", name)
        if step is not None:
            width = max(1, int(step.total_seconds() * 1000))
            table = with_step(table, width)
            keys = ["step", *keys]
        rows = self._rows(measure, table, keys, column)
        for row in rows:
            if "step" in row["group"]:
                row["at"] = moment(int(row["group"].pop("step") or 0))
        return Figures(
            name,
            measure.kind,
            of or measure.of,
            measure.unit if of is None else None,
            measure.description,
            sorted(
                field
                for field in measure.attributes
                if not self._registry.fields[field].kind.numeric
            ),
            between.since,
            between.until,
            rows,
        )

    def _measure(self, name: str, by: Sequence[str], of: str | None) -> Measure:
        measure = self._registry.measures.get(name)
        if measure is None:
            raise InputError(
                "there is no such measure.",
                code="not_found",
                hint="bailee metrics list shows what there is, bailee metrics fields what may be",
            )
        for given in (*by, *([of] if of is not None else [])):
            if given not in measure.attributes:
                raise InputError(
                    f"{name} has no field {given[:60]!r}.",
                    hint=f"it has {', '.join(sorted(measure.attributes))}",
                )
            if (given == of) is not self._registry.fields[given].kind.numeric:
                what = "no number" if given == of else "a number, which nothing can be grouped by"
                raise InputError(f"{given} is {what}.")
        return measure

    def _rows(
        self, measure: Measure, table: pa.Table, keys: list[str], column: str
    ) -> list[FigureRow]:
        import pyarrow as pa
        import pyarrow.compute as pc

        figures: list[tuple[object, ...]] = [
            (column, "sum"),
            (column, "count"),
            (column, "min"),
            (column, "max"),
        ]
        figures.append(("count", "sum"))
        spread = measure.kind in ("event", "span")
        if spread:
            figures.append((column, "tdigest", pc.TDigestOptions(q=list(QUANTILES), delta=500)))
        if measure.kind == "gauge":
            table = table.sort_by("at")
            figures.append((column, "last"))
        if keys:
            grouped_by = keys
        else:
            # Without a key Arrow gives only the first of several quantiles.
            grouped_by = ["whole"]
            nothing = pa.scalar(0, pa.int8())
            table = table.append_column("whole", pa.repeat(nothing, table.num_rows))
        grouped = table.group_by(grouped_by, use_threads=measure.kind != "gauge").aggregate(figures)
        if grouped.num_rows > _MOST_GROUPS:
            raise InputError("too many groups.", hint="group by fewer fields, or longer steps")
        quantiles = self._histograms(table, keys) if measure.kind == "histogram" else {}
        rows = []
        for found in grouped.to_pylist():
            group = {key.removeprefix("a."): found[key] for key in keys}
            points, total = found[f"{column}_count"], found[f"{column}_sum"]
            count = found["count_sum"] if measure.kind == "histogram" else points
            row: FigureRow = {"group": group, "count": count or 0}
            if measure.kind == "counter":
                row = {"group": group, "sum": total or 0.0, "points": points}
            elif measure.kind == "gauge":
                row |= {"last": found[f"{column}_last"]}
            if measure.kind != "counter":
                row |= {
                    "sum": total,
                    "mean": total / count if count and total is not None else None,
                }
            if measure.kind in ("event", "span", "gauge"):
                row |= {"min": found[f"{column}_min"], "max": found[f"{column}_max"]}
            if spread:
                row |= _named(found[f"{column}_tdigest"] or [None] * len(QUANTILES))
            if measure.kind == "histogram":
                row |= _named(quantiles.get(tuple(group.values()), [None] * len(QUANTILES)))
            rows.append(row)
        return sorted(rows, key=lambda row: [str(value) for value in row["group"].values()])

    def _histograms(self, table: pa.Table, keys: list[str]) -> dict[_Key, list[float | None]]:
        """Quantiles by group, from buckets that are added up; each set of bounds apart, of which
        the one that most values of a group are in counts. Beyond the commonest sets none do.
        """
        import pyarrow.compute as pc

        texts = table.column("bounds").cast("string")
        sets = sorted(pc.value_counts(texts).to_pylist(), key=lambda found: -found["counts"])
        most: dict[_Key, tuple[int, list[float | None]]] = {}
        for text in [found["values"] for found in sets if found["values"]][:_MOST_BOUNDS]:
            bounds = orjson.loads(text)
            right = pc.equal(pc.list_value_length(table.column("counts")), len(bounds) + 1)
            some = table.filter(pc.and_(pc.equal(texts, text), right))
            for group, counts in _added_up(some, keys, len(bounds) + 1):
                total = sum(counts)
                if total > most.get(group, (0, []))[0]:
                    most[group] = (total, [_interpolated(bounds, counts, q) for q in QUANTILES])
        return {group: quantiles for group, (_, quantiles) in most.items()}

    def _unit(self, name: str) -> str | None:
        measure = self._registry.measures.get(name)
        return None if measure is None else measure.unit


def _within(table: pa.Table, since: int, until: int, column: str, value: str) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.and_(_inside(table, since, until), equals(table, column, value)))


def _inside(table: pa.Table, since: int, until: int) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    at = table.column("at")
    return pc.and_(pc.greater_equal(at, since), pc.less(at, until))


def equals(table: pa.Table, column: str, value: str) -> pa.ChunkedArray:
    """Which rows have a value in a column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.equal(table.column(column), pa.scalar(value))


def with_step(table: pa.Table, width: int) -> pa.Table:
    """A table with a column `step`: where the step of a row begins. `width`: milliseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at = table.column("at")
    step = pc.multiply(pc.divide(at, pa.scalar(width, pa.int64())), pa.scalar(width, pa.int64()))
    return table.append_column("step", step)


def _interpolated(bounds: Sequence[float], counts: list[int], quantile: float) -> float | None:
    """A quantile of bucketed values: linear within the bucket it falls into. In the last one, which
    has no upper end, it is that bucket's lower end.
    """
    total = sum(counts)
    if not total:
        return None
    rank, seen = quantile * total, 0.0
    for place, number in enumerate(counts):
        if number and seen + number >= rank:
            if place >= len(bounds):
                return bounds[-1]
            low = bounds[place - 1] if place else min(0.0, bounds[0])
            return low + (bounds[place] - low) * (rank - seen) / number
        seen += number
    return bounds[-1]


def _added_up(table: pa.Table, keys: list[str], buckets: int) -> Iterator[tuple[_Key, list[int]]]:
    """The counts of each bucket by group; every row has so many."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = table.column("counts")
    columns = {str(place): pc.list_element(counts, place) for place in range(buckets)}
    whole = pa.table({f"key {key}": table.column(key) for key in keys} | columns)
    grouped = whole.group_by([f"key {key}" for key in keys]).aggregate(
        [(name, "sum") for name in columns]
    )
    for row in grouped.to_pylist():
        group = tuple(row[f"key {key}"] for key in keys)
        yield group, [row[f"{name}_sum"] or 0 for name in columns]


def _named(quantiles: Sequence[float | None]) -> FigureRow:
    p50, p90, p95, p99 = quantiles
    return {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "approximate": True}


def moment(milliseconds: int) -> datetime:
    """A moment of a row."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
