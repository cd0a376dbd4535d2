"""Figures in the form that Prometheus reads, by its own library and a registry of our own.

The library's process-wide registry is not used: whatever else in the process registered something
there would be said too. Nothing is said but what `catalogue` declares, in values that it declares.

Standard: Prometheus' text format 0.0.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bailee import __version__
from bailee.compiled import is_compiled
from bailee.monitoring.catalogue import FAMILIES, OTHER, STATUSES, Family, FigureKind
from bailee.monitoring.exchanges import ExchangeCounts, Times

_CLASSES: Final = {0: "none", **{int(name[0]): name for name in STATUSES[1:]}}

Readings: TypeAlias = Mapping[str, Mapping[tuple[str, ...], float]]
"""Figures by name, and by the values of their labels."""


class Exposition(Collector):
    """Says the figures of one server. Whoever scrapes has `text` called, one at a time; it reads
    what `read` gives and what is counted, and changes nothing.
    """

    def __init__(self, counts: ExchangeCounts, read: Callable[[], Readings]) -> None:
        self._counts = counts
        self._read = read
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def text(self) -> bytes:
        """All of them, as the format has it."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        given = {**self._read(), **_counted(self._counts)}
        how = "yes" if is_compiled() else "no"
        built: dict[tuple[str, ...], float] = {(__version__, how): 1.0}
        yield _metric(FAMILIES["bailee_build_info"], built, as_given=True)
        for name, series in given.items():
            yield _metric(FAMILIES[name], series)
        for name, times in (
            ("bailee_request_duration_seconds", "times"),
            ("bailee_first_byte_seconds", "first_byte"),
        ):
            family = FAMILIES[name]
            made = HistogramMetricFamily(name, family.help, labels=[*family.labels])
            for channel, counts in self._counts.channels.items():
                _add(made, family, channel, getattr(counts, times))
            yield made


def _add(made: HistogramMetricFamily, family: Family, channel: str, times: Times) -> None:
    counts = [*accumulate(times.counts)]
    if counts[-1]:
        names = (*(str(float(bound)) for bound in family.bounds), "+Inf")
        made.add_metric([channel], [*zip(names, counts, strict=True)], times.total)


def _metric(
    family: Family, series: Mapping[tuple[str, ...], float], *, as_given: bool = False
) -> Metric:
    """Series that are said alike are added up."""
    made = CounterMetricFamily if family.kind is FigureKind.COUNTER else GaugeMetricFamily
    metric = made(family.name, family.help, labels=[*family.labels])
    sums: dict[tuple[str, ...], float] = {}
    for values, figure in series.items():
        said = values if as_given else family.said(values)
        sums[said] = sums.get(said, 0.0) + figure
    for values, figure in sums.items():
        metric.add_metric([*values], figure)
    return metric


def _counted(counts: ExchangeCounts) -> Readings:
    requests: Counter[tuple[str, ...]] = Counter()
    refused: Counter[tuple[str, ...]] = Counter()
    errors: Counter[tuple[str, ...]] = Counter()
    sizes: Counter[tuple[str, ...]] = Counter()
    for channel, found in counts.channels.items():
        for (status, outcome, code), count in found.ends.copy().items():
            requests[channel, _CLASSES.get(status, "none"), outcome] += count
            if outcome == "refused":
                refused[(code,)] += count
            elif code.startswith("upstream_"):
                errors[channel, code] += count
            elif status == 5 or outcome == "upstream_failed":
                errors[channel, OTHER] += count
        if found.ends:
            sizes[channel, "in"], sizes[channel, "out"] = found.bytes_in, found.bytes_out
    return {
        "bailee_requests_total": requests,
        "bailee_requests_refused_total": refused,
        "bailee_upstream_errors_total": errors,
        "bailee_bytes_total": sizes,
    }
