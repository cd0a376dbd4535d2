"""Declared fields: what is not declared can't be made, whatever is tried."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.declared import METRICS, Declared, ErrorEvent, Measurement
from bailee.errors import InputError
from bailee.registry import OTHER, load, read

REGISTRY = Declared()
FIELDS = load().fields
MEASURES = {name: one for name, one in load().measures.items() if one.kind in METRICS}
HEAD = b'format = "bailee-registry/1"\n'
TODAY = date(2026, 11, 23)
MARKERS = ("/home/ann/orchard.py", "def pears():", "ann@laptop", "sk-ant-api03-x", "quince")

anything = st.recursive(
    st.sampled_from(MARKERS) | st.text(max_size=20) | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
field_names = st.sampled_from(
    sorted({name for one in MEASURES.values() for name in one.attributes} | {"tool.path"})
)


@given(
    st.sampled_from([*MEASURES, "bailee.prompt"]),
    st.dictionaries(field_names | st.text(max_size=8), anything, max_size=3),
)
def test_no_marker_gets_into_a_metric(name: str, fields: dict[str, Any]) -> None:
    """Either everything is declared, by name and by value, or nothing is made."""
    try:
        made = REGISTRY.metric(name, 1, fields, today=TODAY)
    except InputError as refused:
        assert not [m for m in MARKERS if m in refused.message + str(refused.hint)]
        return
    for key, value in made.fields.items():
        assert key in MEASURES[name].attributes
        kind = FIELDS[key].kind
        if kind.type == "enum":
            assert value in kind.values | ({OTHER} if kind.other else set())
        else:
            assert value == kind.check(value)


@given(
    st.dictionaries(st.sampled_from(["exception", "handled", "message"]), anything),
    st.lists(
        st.dictionaries(st.sampled_from(["module", "function", "line", "context_line"]), anything),
        max_size=3,
    ),
)
def test_no_marker_gets_into_an_error_event(
    fields: dict[str, Any], frames: list[dict[str, Any]]
) -> None:
    """No text but dotted names under a listed prefix; no message, path or line of code."""
    try:
        made = REGISTRY.error("bailee.error", fields, frames, today=TODAY)
    except InputError:
        return
    for values in (made.fields, *made.frames):
        for value in values.values():
            assert type(value) in (str, int, bool)
            assert not [c for c in str(value) if c in "/\\ @:-\n"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("bailee.undeclared", {}),
        ("bailee.tool.count", {"path": "/home/ann"}),
        ("bailee.tool.count", {"tool_name": "/home/ann"}),
        ("bailee.tool.count", {"tool_name": ["Read"]}),
        ("bailee.tool.count", {"tool_name": True}),
    ],
)
def test_what_is_not_declared_is_refused(name: str, fields: dict[str, Any]) -> None:
    """An undeclared name, an undeclared field, a value of another kind."""
    with pytest.raises(InputError):
        REGISTRY.metric(name, 1, fields, today=TODAY)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, True, "1"])
def test_a_value_is_a_number(value: Any) -> None:
    """No text, no truth, nothing endless, nothing below zero."""
    with pytest.raises(InputError):
        REGISTRY.metric("bailee.session.count", value, {}, today=TODAY)


def test_a_declaration_expires() -> None:
    """From its day on it is as if it were not declared."""
    last = MEASURES["bailee.session.count"].expires

    REGISTRY.metric("bailee.session.count", 1, {}, today=last - timedelta(days=1))
    with pytest.raises(InputError, match="expired"):
        REGISTRY.metric("bailee.session.count", 1, {}, today=last)


def test_nobody_goes_round_the_guard() -> None:
    """Making a metric or an error event by hand is refused."""
    declaration = MEASURES["bailee.session.count"]

    with pytest.raises(TypeError):
        Measurement(declaration, 1, {"prompt": "quince"})
    with pytest.raises(TypeError):
        ErrorEvent(declaration, {"prompt": "quince"}, ())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        HEAD + b"[[measure]]\n",
        HEAD + b'[[field]]\nname = "x"\ntype = "text"\ndescription = "d"\n'
        b'sensitivity = "technical"\nowner = "o"\nexpires = 2030-01-01\n',
        HEAD + b'[[measure]]\nname = "a"\ndescription = "d"\nsensitivity = '
        b'"secret"\nowner = "o"\nexpires = 2030-01-01\nkind = "counter"\nunit = "1"\n',
    ],
)
def test_a_registry_that_is_none_is_refused(content: bytes) -> None:
    """No kind of field that takes free text, no declaration without an owner and an end."""
    with pytest.raises(InputError):
        read(content)
