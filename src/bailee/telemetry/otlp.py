"""OTLP: from the protocol's plain values to figures that may be kept. Pure.

`otlp_proto` and `otlp_json` read the two encodings into the values below; everything that decides
is here, once. Trace and span ids, bodies of logs, exemplars, links and scopes are never read.

Standard: OpenTelemetry protocol 1.x, `opentelemetry/proto/{metrics,logs,trace}/v1`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Protocol, TypeVar

from bailee.registry import OTHER, Guard, Measure, Refusals
from bailee.registry.guard import WRONG_VALUE
from bailee.registry.values import Value
from bailee.telemetry.records import MOST_BUCKETS, Figure, figure, moment

DELTA: Final = 1
CUMULATIVE: Final = 2
_STREAMS = 100_000
_MOST = 1e15
MOST_EXPONENTIAL: Final = 640
"""Buckets of an exponential histogram; SDKs send 160."""

MOST_ITEMS: Final = 50_000
_T = TypeVar("_T", bound=Sized)

Pairs = list[tuple[object, object]]
"""Attribute names and values; a value that is no scalar is None."""


class TooMany(ValueError):
    """A request has more in it than one may have, whatever its size."""


class DecodingBudget:
    """How many points, records and spans, and how many of what holds them, one request may have:
    a few bytes each, they cost far more to read than to send. `passed_over`: those that were not
    what they should have been. One request's own.
    """

    def __init__(self, most: int = MOST_ITEMS) -> None:
        self._left = most
        self.passed_over = 0

    def of(self, items: _T) -> _T:
        """The items, if there is room for them.

        Raises:
            TooMany: there is not.
        """
        self._left -= len(items)
        if self._left < 0:
            raise TooMany
        return items


@dataclass(frozen=True, slots=True)
class ExponentialBuckets:
    """An exponential histogram's buckets: how many values were zero, and how many lie in each
    (base ** i, base ** (i + 1)] from `i` = `offset` on, where base is 2 ** 2 ** -`scale`.

    Standard: OpenTelemetry metrics data model, "ExponentialHistogram".
    """

    scale: int
    zero: int
    offset: int
    counts: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Whether there are few enough, of a scale and in places that can be worked with."""
        return (
            len(self.counts) <= MOST_EXPONENTIAL
            and -10 <= self.scale <= 20
            and abs(self.offset) < 1 << 31
            and all(0 <= number < _MOST for number in (self.zero, *self.counts))
        )

    def coarser(self, scale: int) -> ExponentialBuckets:
        """The same in the wider buckets of a lower scale, which are made of whole ones.

        >>> ExponentialBuckets(1, 0, -1, (1, 2, 3, 4)).coarser(0)
        ExponentialBuckets(scale=0, zero=0, offset=-1, counts=(1, 5, 4))
        """
        shift = self.scale - scale
        if shift <= 0 or not self.counts:
            return ExponentialBuckets(scale, self.zero, self.offset, self.counts)
        first = self.offset >> shift
        counts = [0] * (((self.offset + len(self.counts) - 1) >> shift) - first + 1)
        for place, number in enumerate(self.counts, self.offset):
            counts[(place >> shift) - first] += number
        return ExponentialBuckets(scale, self.zero, first, tuple(counts))

    def since(self, before: ExponentialBuckets) -> ExponentialBuckets | None:
        """What was added since; the coarser scale of both holds. None: something is missing."""
        scale = min(self.scale, before.scale)
        now, old = self.coarser(scale), before.coarser(scale)
        added = list(now.counts)
        for place, number in enumerate(old.counts, old.offset - now.offset):
            if number:
                if not 0 <= place < len(added) or added[place] < number:
                    return None
                added[place] -= number
        if now.zero < old.zero:
            return None
        return ExponentialBuckets(scale, now.zero - old.zero, now.offset, tuple(added))

    def explicit(self) -> tuple[list[float], list[int]] | None:
        """As bounds and counts, in wider buckets where there are too many of them; None: the
        bounds are too far for numbers.

        >>> ExponentialBuckets(0, 2, 0, (3, 4)).explicit()
        ([1.0, 2.0, 4.0], [2, 3, 4, 0])
        """
        if len(self.counts) >= MOST_BUCKETS:
            return self.coarser(self.scale - 1).explicit()
        places = range(self.offset, self.offset + len(self.counts) + 1)
        try:
            bounds = [2.0 ** (place * 2.0**-self.scale) for place in places]
        except OverflowError:
            return None
        if not all(0 < bound < _MOST for bound in bounds):
            return None
        return bounds, [self.zero, *self.counts, 0]


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of a metric. Times in nanoseconds. A histogram's has `bounds` and `counts`, or
    the `exponential` buckets; a plain number has neither.
    """

    attributes: Pairs
    start: int
    time: int
    value: float
    count: int = 1
    bounds: list[float] | None = None
    counts: list[int] | None = None
    exponential: ExponentialBuckets | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one resource. `kind`: counter, gauge or histogram; `points` may be lazy."""

    resource: Pairs
    name: str
    kind: str
    temporality: int
    points: Iterable[Point]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record: the names it may be an event's by, its attributes, its time, and its figure
    where a protocol has one apart from the attributes.
    """

    resource: Pairs
    names: tuple[object, ...]
    attributes: Pairs
    time: int
    figure: object = None


@dataclass(frozen=True, slots=True)
class Span:
    """A span: its name, its length in nanoseconds, whether it failed."""

    resource: Pairs
    name: str
    attributes: Pairs
    start: int
    end: int
    failed: bool


class OtlpEncoding(Protocol):
    """One of OTLP's two encodings, as a module: `otlp_proto` or `otlp_json`."""

    def read_metrics(self, body: bytes, room: DecodingBudget) -> Iterator[Metric]:
        """The metrics of an `ExportMetricsServiceRequest`."""

    def read_logs(self, body: bytes, room: DecodingBudget) -> Iterator[LogRecord]:
        """The records of an `ExportLogsServiceRequest`."""

    def read_spans(self, body: bytes, room: DecodingBudget) -> Iterator[Span]:
        """The spans of an `ExportTraceServiceRequest`."""


@dataclass(slots=True)
class Streams:
    """What cumulative streams stood at, in memory alone: a stream is known by a digest of all that
    identifies it, which is never stored.

    A stream that began before this process and was not seen yet only sets a mark: what it counted
    till then may have been counted before. After `_STREAMS` streams the oldest are forgotten.
    """

    begun_ns: int
    known: OrderedDict[int, tuple[int, float, int, tuple[int, ...] | ExponentialBuckets]] = field(
        default_factory=OrderedDict
    )

    def since(self, key: int, point: Point) -> Point | None:
        """A stream's last point with what was added since the one before: value, count, counts."""
        counts = point.exponential or tuple(point.counts or ())
        before = self.known.pop(key, None)
        self.known[key] = (point.start, point.value, point.count, counts)
        if len(self.known) > _STREAMS:
            self.known.popitem(last=False)
        if before is None:
            return point if point.start >= self.begun_ns else None
        start, value, count, old = before
        if start != point.start or point.count < count:
            return point  # the client began anew
        more, number = point.value - value, point.count - count
        if isinstance(counts, ExponentialBuckets):
            since = counts.since(old) if isinstance(old, ExponentialBuckets) else None
            return (
                point
                if since is None
                else replace(point, value=more, count=number, exponential=since)
            )
        if isinstance(old, ExponentialBuckets) or len(old) != len(counts):
            return point
        if point.bounds is None:
            return point if point.value < value else replace(point, value=more, count=number)
        added = [new - past for new, past in zip(counts, old, strict=True)]
        if any(number < 0 for number in added):
            return point
        return replace(point, value=more, count=number, counts=added)


class Reader:
    """Takes what one request holds through the guard. Made for one request, and used on the thread
    that reads it. It keeps nothing that the guard has not let through.
    """

    def __init__(self, guard: Guard, refusals: Refusals, now_ms: int, streams: Streams) -> None:
        self._guard = guard
        self._refusals = refusals
        self._now = now_ms
        self._streams = streams
        self._resource: Pairs | None = None
        self._kept: dict[str, Value] = {}
        self.rejected = 0

    @property
    def service(self) -> Value:
        """Who sent the resource that was read last: its service, else its library."""
        return self._kept.get("service.name") or self._kept.get("telemetry.sdk.name") or OTHER

    def metrics(self, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Rows of metrics; points that may not be kept are counted in `rejected`."""
        for metric in metrics:
            resource = self._of(metric.resource)
            # A histogram of one's own may be declared as what it measures; nothing else may.
            measure = self._guard.measure(metric.name, (metric.kind,), self._refusals)
            if measure is None:
                self.rejected += sum(1 for _ in metric.points)
                continue
            for point in metric.points:
                row = self._point(metric, measure, resource, point)
                if row is None:
                    self.rejected += 1
                else:
                    yield row

    def logs(self, logs: Iterable[LogRecord]) -> Iterator[tuple[Measure, Figure]]:
        """Rows of events, each with its measure."""
        for log in logs:
            resource = self._of(log.resource)
            name = next(
                (n for n in log.names if isinstance(n, str) and n in self._guard.registry.measures),
                None,
            )
            measure = self._guard.measure(name, ("event",), self._refusals)
            if measure is None:
                self.rejected += 1
                continue
            kept = self._attributes(measure, resource, log.attributes)
            if log.figure is not None and measure.of is not None:
                value = self._guard.value(measure.of, log.figure, self._refusals)
                if value is not None:
                    kept.setdefault(measure.of, value)
            yield measure, event(measure, kept, moment(log.time, self._now))

    def spans(self, spans: Iterable[Span]) -> Iterator[Figure]:
        """Rows of spans; `value` is milliseconds."""
        for span in spans:
            resource = self._of(span.resource)
            measure = self._guard.measure(span.name, ("span",), self._refusals)
            length = (span.end - span.start) / 1e6
            if measure is None or not 0 <= length <= 86_400_000:
                if measure is not None:
                    self._refusals.add(measure.name, WRONG_VALUE)
                self.rejected += 1
                continue
            kept = self._attributes(measure, resource, span.attributes)
            if "outcome" in measure.attributes:
                kept["outcome"] = "error" if span.failed else kept.get("outcome", "ok")
            yield figure(moment(span.end, self._now), measure.name, "span", length, kept)

    def _of(self, resource: Pairs) -> dict[str, Value]:
        if resource is not self._resource:
            self._resource = resource
            self._kept = self._guard.attributes(resource, None, self._refusals)
        return self._kept

    def _attributes(
        self, measure: Measure, resource: dict[str, Value], given: Pairs
    ) -> dict[str, Value]:
        kept = {name: value for name, value in resource.items() if name in measure.attributes}
        kept.update(self._guard.attributes(given, measure.attributes, self._refusals))
        return kept

    def _point(
        self, metric: Metric, measure: Measure, resource: dict[str, Value], point: Point
    ) -> Figure | None:
        if not _sound(point):
            self._refusals.add(measure.name, WRONG_VALUE)
            return None
        if metric.temporality == CUMULATIVE and metric.kind != "gauge":
            key = hash(
                (metric.name, tuple(map(repr, metric.resource)), tuple(map(repr, point.attributes)))
            )
            added = self._streams.since(key, point)
            nothing = Point(point.attributes, point.start, point.time, 0.0, 0)
            point = nothing if added is None else added
            if metric.kind == "counter":
                point = replace(point, count=1)
        buckets = None
        if point.exponential is not None:
            buckets = point.exponential.explicit()
        elif point.bounds is not None and point.counts:
            buckets = (point.bounds, point.counts)
        lost = point.exponential is not None and buckets is None
        if lost or (metric.kind == "counter" and point.value < 0):
            self._refusals.add(measure.name, WRONG_VALUE)
            return None
        kept = self._attributes(measure, resource, point.attributes)
        at, count = moment(point.time, self._now), point.count
        return figure(
            at, measure.name, metric.kind, point.value, kept, count=count, buckets=buckets
        )


def event(measure: Measure, kept: dict[str, Value], at: int) -> Figure:
    """An event's row; its figure is the field that the registry names."""
    value = kept.get(measure.of, 0.0) if measure.of is not None else 1.0
    return figure(at, measure.name, "event", float(value), kept)


def _sound(point: Point) -> bool:
    """Whether a point's numbers are numbers, in number and size."""
    if not math.isfinite(point.value) or abs(point.value) > _MOST or not 0 <= point.count < _MOST:
        return False
    if point.exponential is not None:
        return point.exponential.sound
    if point.bounds is None:
        return True
    bounds, counts = point.bounds, point.counts or []
    if counts and len(counts) != len(bounds) + 1:
        return False
    return (
        len(bounds) <= MOST_BUCKETS
        and all(math.isfinite(bound) for bound in bounds)
        and all(a < b for a, b in pairwise(bounds))
        and all(0 <= number < _MOST for number in counts)
    )
