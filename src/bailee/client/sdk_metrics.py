"""Metrics of one stretch of time as a payload, aggregated and encoded by OpenTelemetry's SDK.

Rules kept here:

* What goes into the SDK passed the guard: it takes `Measurement`s and a `Resource` and nothing
  else.
* What comes out is looked at again before it is encoded. Whatever the SDK adds by itself (a
  resource it found, an exemplar, a scope's attribute) is an error here, and nothing is sent.
* Nothing global is set, no thread is started, no variable of the SDK's names a destination.
* Times are those of the caller's clock, in whole seconds.

The SDK is imported when the first payload is made. Standard: OTLP 1.x (JSON), deltas.
Rows: S1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bailee.client.declared import Measurement, Resource
from bailee.client.payloads import Payload
from bailee.errors import IntegrityError

if TYPE_CHECKING:
    from opentelemetry import metrics as api
    from opentelemetry.sdk.metrics.export import MetricsData

_SCOPE: Final = "bailee"
_BOUNDS: Final = (10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)


def metrics(
    measured: Sequence[Measurement], resource: Resource, *, since: datetime, until: datetime
) -> Payload | None:
    """The payload; None when the SDK has been switched off (`OTEL_SDK_DISABLED`).

    Raises:
        IntegrityError: the SDK added something that was not measured.
    """
    from opentelemetry.exporter.otlp.json.common.metrics_encoder import encode_metrics

    data = _collected(measured, resource)
    if data is None or not data.resource_metrics:
        return None
    _check(data, measured, resource)
    window = {
        "start_time_unix_nano": _nanoseconds(since),
        "time_unix_nano": _nanoseconds(until),
    }
    body = encode_metrics(_at(data, window)).to_json()
    return Payload("metrics", "/v1/metrics", "application/json", body.encode())


def _collected(measured: Sequence[Measurement], resource: Resource) -> MetricsData | None:
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource as SdkResource

    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: delta, Histogram: delta})
    provider = MeterProvider(
        metric_readers=[reader],
        resource=SdkResource(dict(resource.fields)),
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
    meter = provider.get_meter(_SCOPE)
    counters: dict[str, api.Counter] = {}
    histograms: dict[str, api.Histogram] = {}
    for metric in measured:
        name, unit = metric.declaration.name, metric.declaration.unit
        if metric.declaration.kind == "counter":
            if name not in counters:
                counters[name] = meter.create_counter(name, unit)
            counters[name].add(metric.value, dict(metric.fields))
        else:
            if name not in histograms:
                histograms[name] = meter.create_histogram(
                    name, unit, explicit_bucket_boundaries_advisory=_BOUNDS
                )
            histograms[name].record(metric.value, dict(metric.fields))
    data = reader.get_metrics_data()
    provider.shutdown()
    return data


def _check(data: MetricsData, measured: Sequence[Measurement], resource: Resource) -> None:
    """Holds what the SDK made against what it was given."""
    given: dict[str, list[Mapping[str, object]]] = {}
    for metric in measured:
        given.setdefault(metric.declaration.name, []).append(metric.fields)
    for of_resource in data.resource_metrics:
        fine = dict(of_resource.resource.attributes) == dict(resource.fields)
        for of_scope in of_resource.scope_metrics:
            scope = of_scope.scope
            fine = fine and scope.name == _SCOPE and not scope.version and not scope.attributes
            for made in of_scope.metrics:
                fine = fine and not made.description and made.name in given
                for point in made.data.data_points:
                    known = given.get(made.name, [])
                    fine = fine and not point.exemplars and dict(point.attributes or {}) in known
        if not fine:
            raise IntegrityError(
                "The metrics hold something that was not measured; nothing of them is sent.",
                hint="is another version of opentelemetry-sdk installed?",
            )


def _at(data: MetricsData, window: Mapping[str, int]) -> MetricsData:
    """The same with the caller's times."""

    def moved(metric: Any) -> Any:  # each kind of metric has points of its own
        points = [replace(point, **window) for point in metric.data.data_points]
        return replace(metric, data=replace(metric.data, data_points=points))

    return replace(
        data,
        resource_metrics=[
            replace(
                r,
                scope_metrics=[
                    replace(s, metrics=[moved(m) for m in s.metrics]) for s in r.scope_metrics
                ],
            )
            for r in data.resource_metrics
        ],
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
