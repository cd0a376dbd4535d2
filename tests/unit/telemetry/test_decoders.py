"""The decoders, against anything at all: an answer or a refusal, and never a planted word."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import zip_longest
from typing import Any

import brotli
import orjson
import pytest
import zstandard
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.metrics.v1 import metrics_pb2

from bailee.errors import InputError
from bailee.ingest.bodies import ENCODINGS, unpacked
from bailee.registry import OTHER, Guard, Refusals
from bailee.telemetry import otlp_proto, sentry
from bailee.telemetry.json_bodies import message
from bailee.telemetry.otlp import DecodingBudget, ExponentialBuckets, Reader, Streams
from bailee.telemetry.records import MOST_BUCKETS, Figure, Row, StackFrame
from support.attacks.decoders import (
    DECODERS,
    EVENT,
    KEYS,
    NOW_MS,
    REGISTRY,
    TEMPLATES,
    decoded,
    events,
)

MARKER = "quince"
marked = st.text(max_size=20).map(lambda text: f"{text}{MARKER}")
names = (
    st.sampled_from(sorted({*REGISTRY.by_any_name, *REGISTRY.refused, *REGISTRY.measures})) | marked
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | marked
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=15,
)


each = pytest.mark.parametrize("decoder", DECODERS.values(), ids=list(DECODERS))


@each
@given(body=st.binary(max_size=300))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_decoded_or_refused(
    decoder: Callable[[bytes, Refusals], list[Row]], body: bytes
) -> None:
    """`ValueError` is the one way to say no."""
    decoded(decoder, body)


def shaped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the keys of every protocol, and anything in them, themselves included."""
    attribute = st.fixed_dictionaries(
        {"key": names, "value": st.dictionaries(_TYPES, inner, max_size=2) | inner}
    )
    keys = st.sampled_from(KEYS) | names
    return st.dictionaries(
        keys, inner | st.lists(inner, max_size=3), max_size=6
    ) | st.fixed_dictionaries({"attributes": st.lists(attribute, max_size=5)})


_TYPES = st.sampled_from(["stringValue", "intValue", "doubleValue", "boolValue", "kvlistValue"])
bodies = st.recursive(
    scalars, lambda inner: shaped(inner) | st.lists(inner, max_size=3), max_leaves=40
)


@each
@given(body=bodies)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_no_marker_passes_in_anything_of_the_protocols_shape(
    decoder: Callable[[bytes, Refusals], list[Row]], body: Any
) -> None:
    """Arbitrary nesting of the protocols' own keys with a planted word in names and values: no row
    and no count has it.
    """
    rows, refusals = decoded(decoder, orjson.dumps(_finite(body)))

    assert MARKER not in repr(rows)
    assert MARKER not in repr(refusals)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {_clean(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-(2**63), min(2**64 - 1, value))
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _planted(value: Any, draw: st.DrawFn) -> Any:
    """The value with a planted word in some places: instead of a leaf, beside one, as a name."""
    if draw(st.integers(0, 9)) == 0:
        return draw(values | marked | st.just({"stringValue": MARKER}))
    if isinstance(value, dict):
        planted = {key: _planted(inner, draw) for key, inner in value.items()}
        if draw(st.integers(0, 5)) == 0:
            planted[draw(names)] = draw(values)
        return planted
    if isinstance(value, list):
        return [_planted(inner, draw) for inner in value]
    return value


@pytest.mark.parametrize("protocol", list(TEMPLATES))
def test_the_templates_are_taken_whole(protocol: str) -> None:
    """Without a planted word each gives rows: the test below plants into what would be kept."""
    rows, _ = decoded(DECODERS[protocol], orjson.dumps(TEMPLATES[protocol]))

    assert len(rows) >= 1
    assert all(
        row.attributes
        for row in rows
        if not isinstance(row, Figure) or row.name != "bailee.turn.duration"
    )


@pytest.mark.parametrize("protocol", list(TEMPLATES))
@given(data=st.data())
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_no_marker_passes_wherever_a_sound_payload_has_it(
    protocol: str, data: st.DataObject
) -> None:
    """A planted word in place of any leaf, branch or name of what would be kept, in no row and in
    no count.
    """
    body = data.draw(st.composite(lambda draw: _planted(TEMPLATES[protocol], draw))())

    rows, refusals = decoded(DECODERS[protocol], orjson.dumps(_finite(body)))

    assert MARKER not in repr(rows)
    assert MARKER not in repr(refusals)


def test_of_a_stack_only_our_own_names_remain() -> None:
    """Our module with our function; our module without one that it does not define; of another's
    only the package; of the person's nothing but the line.
    """
    row = events().row(orjson.dumps(EVENT), Refusals(), NOW_MS)

    assert ("ValueError", "error", "python") == (row.type, row.level, row.platform)
    assert ("bailee@1.2.3", "production", False) == (row.release, row.environment, row.handled)
    assert [
        StackFrame(None, None, 3, True),
        StackFrame("asyncio", None, None, False),
        StackFrame("bailee.gateway.server", "Gateway.start", 9, True),
        StackFrame("bailee.gateway.server", None, 8, True),
        StackFrame(None, None, 7, True),
    ] == row.frames


def test_an_issue_survives_moved_lines_but_not_another_stack() -> None:
    """Same functions on other lines: the same issue. Another type: another one."""
    first = events().row(orjson.dumps(EVENT), Refusals(), NOW_MS).issue
    moved = orjson.loads(orjson.dumps(EVENT))
    moved["exception"]["values"][0]["stacktrace"]["frames"][2]["lineno"] = 77
    moved["release"] = "bailee@1.2.4"
    other = orjson.loads(orjson.dumps(EVENT))
    other["exception"]["values"][0]["type"] = "KeyError"

    assert first == events().row(orjson.dumps(moved), Refusals(), NOW_MS).issue
    assert first != events().row(orjson.dumps(other), Refusals(), NOW_MS).issue


@pytest.mark.parametrize("length", [True, False])
def test_envelope_items_come_with_and_without_length(length: bool) -> None:
    """With a length an item may hold newlines; without one it ends with its line."""
    item = orjson.dumps(EVENT)
    head = {"type": "event", **({"length": len(item)} if length else {})}
    body = b"\n".join(
        [b'{"event_id":"x"}', orjson.dumps(head), item, b'{"type":"client_report"}', b"{}"]
    )

    envelope = sentry.read_envelope(body)

    assert [("event", item), ("client_report", b"{}")] == envelope.items


@pytest.mark.parametrize("rest", [b"{quince\nx\n", b'{"length":99}\nx\n', b'{"type":"event"}'])
def test_what_is_no_item_does_not_cost_those_before_it(rest: bytes) -> None:
    """Past it nothing can be told apart: the rest is counted as one. Alone it is refused."""
    item = orjson.dumps(EVENT)
    envelope = sentry.read_envelope(b'{}\n{"type":"event"}\n' + item + b"\n" + rest)

    assert [("event", item), (OTHER, rest)] == envelope.items
    with pytest.raises(ValueError, match=r"."):
        sentry.read_envelope(b"{}\n" + rest)


numbers = st.integers(0, 2**40)
doubles = st.floats(-1e12, 1e12)
pairs = st.lists(
    st.tuples(names, st.text(max_size=8) | st.integers(-(2**62), 2**62) | st.booleans()), max_size=4
)


@st.composite
def requests(draw: st.DrawFn) -> service.ExportMetricsServiceRequest:
    """Metrics of each kind, with declared and other names."""
    request = service.ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _fill(resource.resource.attributes, draw(pairs))
    for _ in range(draw(st.integers(0, 4))):
        metric = resource.scope_metrics.add().metrics.add()
        metric.name = draw(st.sampled_from(sorted(REGISTRY.measures)) | marked)
        kind = draw(st.sampled_from(["sum", "gauge", "histogram"]))
        data = getattr(metric, kind)
        if kind != "gauge":
            data.aggregation_temporality = draw(st.sampled_from([0, 1, 2]))
        if kind == "sum":
            data.is_monotonic = draw(st.booleans())
        point = data.data_points.add()
        _fill(point.attributes, draw(pairs))
        point.time_unix_nano = draw(st.sampled_from([0, NOW_MS * 1_000_000, 2**63]))
        point.start_time_unix_nano = draw(numbers)
        if kind == "histogram":
            bounds = draw(st.lists(doubles, max_size=4))
            point.explicit_bounds.extend(bounds)
            point.bucket_counts.extend(
                draw(st.lists(numbers, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
            )
            point.count, point.sum = draw(numbers), draw(doubles)
        elif draw(st.booleans()):
            point.as_int = draw(st.integers(-(2**40), 2**40))
        else:
            point.as_double = draw(doubles)
    return request


def _fill(attributes: Any, given: list[tuple[str, Any]]) -> None:
    for name, value in given:
        attribute = attributes.add()
        attribute.key = _clean(name)
        if isinstance(value, bool):
            attribute.value.bool_value = value
        elif isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = _clean(value)


@given(requests())
@settings(deadline=None, max_examples=100)
def test_both_encodings_give_the_same_rows_and_the_same_counts(
    request: service.ExportMetricsServiceRequest,
) -> None:
    """A request in protobuf and the same in JSON, as the protocol's own library writes it."""
    in_proto = decoded(DECODERS["metrics in protobuf"], request.SerializeToString())
    in_json = decoded(DECODERS["metrics in JSON"], json_format.MessageToJson(request).encode())

    assert in_proto == in_json


def test_cumulative_sums_are_counted_once() -> None:
    """3, 5, 5, then a restart at 2: 3 + 2 + 0 + 2. One from before only sets a mark."""
    streams = Streams(begun_ns=1000)
    refusals = Refusals()

    def sent(value: int, start: int) -> float:
        request = service.ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
        metric.name = "bailee.command.count"
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
        point = metric.sum.data_points.add()
        point.as_int, point.start_time_unix_nano = value, start
        taken = Reader(Guard(REGISTRY, date(2026, 11, 23)), refusals, NOW_MS, streams)
        (row,) = taken.metrics(
            otlp_proto.read_metrics(request.SerializeToString(), DecodingBudget())
        )
        added: float = row.value
        return added

    assert [3, 2, 0, 2] == [sent(3, 2000), sent(5, 2000), sent(5, 2000), sent(2, 3000)]
    streams.known.clear()
    assert [0, 4] == [sent(40, 500), sent(44, 500)]


def exponential(
    scale: int, offset: int, counts: list[int], zero: int = 0, *, sum_of: float = 0.0
) -> bytes:
    """A cumulative exponential histogram of one point, since 2,000 ns."""
    request = service.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.name = "bailee.request.duration"
    histogram = metric.exponential_histogram
    histogram.aggregation_temporality = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = histogram.data_points.add()
    point.start_time_unix_nano, point.scale, point.zero_count = 2000, scale, zero
    point.positive.offset, point.sum = offset, sum_of
    point.positive.bucket_counts.extend(counts)
    point.count = sum(counts) + zero
    return request.SerializeToString()


def test_cumulative_exponential_histograms_are_counted_once() -> None:
    """What was added since the last point counts, also where the scale was lowered meanwhile, as an
    SDK does when a value is far off; 160 buckets, as SDKs have them, fit.
    """
    streams, refusals = Streams(begun_ns=1000), Refusals()

    def sent(body: bytes) -> tuple[int, float, list[int]]:
        taken = Reader(Guard(REGISTRY, date(2026, 11, 23)), refusals, NOW_MS, streams)
        (row,) = taken.metrics(otlp_proto.read_metrics(body, DecodingBudget()))
        return row.count, row.value, row.counts or []

    assert (5, 9.0, [1, 2, 2, 0]) == sent(exponential(1, 0, [2, 2], zero=1, sum_of=9.0))
    assert (2, 5.0, [0, 0, 2, 0]) == sent(exponential(1, 0, [2, 4], zero=1, sum_of=14.0))
    assert (3, 50.0, [1, 0, 0, 2, 0]) == sent(exponential(0, 0, [6, 0, 2], zero=2, sum_of=64.0))
    whole = sent(exponential(3, 0, [1] * 160, sum_of=200.0))
    assert (160, 160) == (whole[0], sum(whole[2]))
    assert len(whole[2]) <= MOST_BUCKETS + 1
    assert not refusals.counts


@given(
    st.integers(-3, 5), st.integers(-40, 40), st.lists(st.integers(0, 9), max_size=40),
    st.integers(0, 4), st.lists(st.integers(0, 9), max_size=40),
)  # fmt: skip
def test_buckets_that_are_made_wider_hold_the_same_values(
    scale: int, offset: int, counts: list[int], wider: int, more: list[int]
) -> None:
    """Each value lies in the one wider bucket that its own is in; and what is added to some, at
    whatever scale, is what `since` says, at the coarser one.
    """
    before = ExponentialBuckets(scale, 1, offset, tuple(counts))
    coarse = before.coarser(scale - wider)
    by_place = Counter[int]()
    for place, number in enumerate(counts, offset):
        by_place[place >> wider] += number
    assert by_place == Counter(dict(enumerate(coarse.counts, coarse.offset)))

    both = [a + b for a, b in zip_longest(counts, more, fillvalue=0)]
    after = ExponentialBuckets(scale, 3, offset, tuple(both)).coarser(scale - wider)
    added = after.since(before)
    assert added is not None
    assert (2, sum(more)) == (added.zero, sum(added.counts))
    if more and any(more):
        assert before.since(ExponentialBuckets(scale, 3, offset, tuple(both))) is None


def test_half_a_character_costs_no_batch() -> None:
    """Half an emoji, a byte that is no UTF-8, and NaN: the points beside are kept, and so is the
    one, but for the text; deep nesting and what is no JSON are refused as ever.
    """
    point = {"asDouble": "2.5", "attributes": [{"key": "command", "value": {"stringValue": "up"}}]}
    metric = {
        "name": "bailee.command.count",
        "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]},
    }
    whole = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric, metric]}]}]})
    for odd, kept, dropped in (
        (b'"\\ud83d"', "other", 0),
        (b'"\xf0\x9f"', "other", 0),
        (b"NaN", None, 1),
        (b"1e999", None, 1),
    ):
        body = whole.encode().replace(b'"up"', odd, 1)
        rows, refusals = decoded(DECODERS["metrics in JSON"], body)
        assert [2.5, 2.5] == [row.value for row in rows if isinstance(row, Figure)]
        assert [kept, "up"] == [row.attributes.get("command") for row in rows]
        assert dropped == sum(refusals.counts.values())
    for wrong in (b'{"resourceMetrics": "\\ud83d', b"[" * 100_000 + b'"\\ud83d"'):
        with pytest.raises(ValueError, match="JSON"):
            message(wrong)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=5),  # without: five seconds for 64 MiB of nothing
    "zstd": zstandard.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(plain=st.binary(max_size=2000))
@settings(deadline=None, max_examples=25)
def test_every_encoding_is_unpacked(encoding: str, plain: bytes) -> None:
    """What was packed comes back."""
    assert plain == unpacked(PACKERS[encoding](plain), encoding, 4000)


def test_gzip_of_several_members_and_bare_deflate_are_unpacked() -> None:
    """As RFC 1952 allows, and as many clients send what they call deflate; a thousand members are
    enough, and rest behind the end is refused as before.
    """
    assert b"onetwo" == unpacked(gzip.compress(b"one") + gzip.compress(b"two"), "gzip", 100)
    bare = zlib.compressobj(wbits=-15)
    assert b"plain" == unpacked(bare.compress(b"plain") + bare.flush(), "deflate", 100)
    for wrong in (gzip.compress(b"") * 1001, gzip.compress(b"one") + b"rest"):
        with pytest.raises(InputError):
            unpacked(wrong, "gzip", 100)
    with pytest.raises(InputError, match="over 5 bytes"):
        unpacked(gzip.compress(b"one") * 3, "gzip", 5)


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e != "identity"])
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    """Sixty-four megabytes of nothing, packed into little, are refused as too large."""
    bomb = PACKERS[encoding](bytes(64 << 20))
    assert len(bomb) < 200_000

    with pytest.raises(InputError) as refused:
        unpacked(bomb, encoding, 1 << 20)

    assert "request_too_large" == refused.value.code


@pytest.mark.parametrize("encoding", [*ENCODINGS[:4], "gzip, gzip", "compress", "quince"])
@given(body=st.binary(min_size=1, max_size=200))
@settings(deadline=None, max_examples=25)
def test_what_is_not_of_its_encoding_is_refused_without_its_words(
    encoding: str, body: bytes
) -> None:
    """`InputError` is the one way to say no, and it repeats nothing of the request."""
    try:
        unpacked(body, encoding, 1000)
    except InputError as error:
        assert MARKER not in f"{error.message}{error.hint}"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceMetrics":' * 50_000,
        b'{"resourceMetrics":[' * 900 + b"]}" * 900,
        b"\x0a\xff\xff\xff\xff\x0f" * 1000,
        b"\x0a\x80" * 10_000,
    ],
)
@each
def test_deep_nesting_is_refused(
    decoder: Callable[[bytes, Refusals], list[Row]], body: bytes
) -> None:
    """Hundreds of thousands of levels bring nobody down."""
    assert [] == decoded(decoder, body)[0]
