"""Both ends of telemetry: whatever the client can declare, the receiving guard keeps as it is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bailee.client.declared import METRICS, Declared, ErrorEvent, Measurement, Resource
from bailee.client.sdk_errors import error
from bailee.client.sdk_metrics import metrics
from bailee.errors import InputError
from bailee.registry import OTHER, Guard, Refusals, load
from bailee.telemetry import otlp_json, sentry
from bailee.telemetry.otlp import DecodingBudget, Reader, Streams
from bailee.telemetry.symbols import installed

DECLARED = Declared()
REGISTRY = load()
TODAY = date(2026, 11, 23)
_VERSION = r"[0-9]{1,5}(\.[0-9]{1,6}){0,2}((a|rc|\.dev)[0-9]{1,3})?"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SYMBOLS = installed(REGISTRY.errors.ours)
MEASURES = sorted(name for name, one in REGISTRY.measures.items() if one.kind in METRICS)


@cache  # a strategy is made once: to make it takes longer than to draw from it
def values(name: str) -> st.SearchStrategy[Any]:
    """Every value that the client may give a field."""
    kind = REGISTRY.fields[name].kind
    whole = (int(kind.least), int(kind.most)) if kind.numeric else (0, 0)
    found: st.SearchStrategy[Any] = {
        "enum": st.sampled_from(sorted(kind.values)) if kind.values else st.nothing(),
        "pattern": st.from_regex(kind.pattern or "", fullmatch=True),
        "version": st.from_regex(_VERSION, fullmatch=True),
        "boolean": st.booleans(),
        "installation": st.text("0123456789abcdef", min_size=32, max_size=32),
        "integer": st.integers(*whole),
        "number": st.floats(kind.least, kind.most) if kind.numeric else st.nothing(),
    }[kind.type]
    found = found.filter(lambda value: kind.check(value) == value)
    return found | st.just(OTHER) if kind.other else found


@cache
def some(names: frozenset[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the fields, with any of their values."""
    every = {name: values(name) for name in sorted(names)}
    return st.fixed_dictionaries({}, optional=every)


@cache
def about() -> st.SearchStrategy[Resource]:
    """What the client may say of itself; it always names its program and version."""
    named = {name: values(name) for name in ("service.name", "service.version")}
    return st.builds(
        lambda always, more: DECLARED.about({**more, **always}, today=TODAY),
        st.fixed_dictionaries(named),
        some(REGISTRY.common),
    )


@st.composite
def failures(draw: st.DrawFn) -> ErrorEvent:
    """Error events with every exception that is declared, and frames of modules of ours."""
    fields = {
        name: draw(values(name))
        for name in sorted(REGISTRY.measures["bailee.error"].attributes - REGISTRY.common)
    }
    frames = []
    for module in draw(st.lists(st.sampled_from(sorted(SYMBOLS)), max_size=4)):
        names = sorted(SYMBOLS[module] | REGISTRY.errors.functions)
        line = draw(st.integers(1, 100_000))
        frames.append({"module": module, "function": draw(st.sampled_from(names)), "line": line})
    try:
        return DECLARED.error("bailee.error", fields, frames, today=TODAY)
    except InputError:  # a module or function whose name the client would not send
        assume(False)
        raise


def guard() -> Guard:
    """The receiving side's."""
    return Guard(REGISTRY, TODAY)


@pytest.mark.row("S1")
@pytest.mark.parametrize("name", MEASURES)
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_every_metric_is_kept_as_it_was_sent(name: str, data: st.DataObject) -> None:
    """Every counter and histogram of the registry, with any of its fields and their values: the
    receiving side drops nothing and changes nothing.
    """
    who = data.draw(about())
    fields = data.draw(some(REGISTRY.measures[name].attributes - REGISTRY.common))
    value = data.draw(st.integers(0, 10**9) | st.floats(0, 1e9))
    made: Measurement = DECLARED.metric(name, value, fields, today=TODAY)
    body = metrics([made], who, since=NOW - timedelta(minutes=1), until=NOW).body
    refusals = Refusals()

    reader = Reader(guard(), refusals, NOW_MS, Streams(0))
    rows = list(reader.metrics(otlp_json.read_metrics(body, DecodingBudget())))

    assert ({}, 0) == (dict(refusals.counts), reader.rejected)
    (row,) = rows
    assert (name, made.declaration.kind, value) == (row.name, row.kind, row.value)
    assert {**who.fields, **fields} == row.attributes


@pytest.mark.row("S2")
@given(event=failures(), who=about())
@settings(deadline=None, max_examples=60)
def test_every_error_is_kept_as_it_was_sent(event: ErrorEvent, who: Resource) -> None:
    """Every declared exception and frame, and all that the client says of itself."""
    body = error(event, who, at=NOW, event_id="0" * 32).body
    refusals = Refusals()

    ((_, item),) = sentry.read_envelope(body).items
    row = sentry.Events(guard(), SYMBOLS, b"k" * 32).row(item, refusals, NOW_MS)

    assert {} == dict(refusals.counts)
    assert row is not None
    assert (event.fields["exception"], event.fields["handled"]) == (row.type, row.handled)
    assert "python" == row.platform
    assert f"{who.fields['service.name']}@{who.fields['service.version']}" == row.release
    assert [(f["module"], f["function"], f["line"], True) for f in event.frames] == [
        msgspec.structs.astuple(frame) for frame in row.frames
    ]
    assert dict(who.fields) == row.attributes
