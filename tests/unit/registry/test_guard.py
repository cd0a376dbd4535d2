"""The schema guard: nothing passes that was not declared, and nothing of it stays behind."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.registry import OTHER, Dropped, Guard, Refusals, load
from bailee.registry.guard import MOST_ATTRIBUTES

REGISTRY = load()
TODAY = date(2026, 11, 23)
MARKER = "quince"

names = st.sampled_from([*sorted(REGISTRY.by_any_name), *sorted(REGISTRY.refused)]) | st.text()
marked = st.text().map(lambda text: f"{text}{MARKER}")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | marked
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(marked, inner, max_size=4),
    max_leaves=12,
)


def guard() -> Guard:
    """The shipped registry on a day."""
    return Guard(REGISTRY, TODAY)


@settings(deadline=None)
@given(st.lists(st.tuples(names | marked, nested), max_size=30))
def test_no_marker_passes_whatever_it_is_wrapped_in(pairs: list[tuple[str, Any]]) -> None:
    """Values and names of any shape with a planted word: the word is in nothing that is kept, and
    in none of the names that are counted.
    """
    refusals = Refusals()

    kept = guard().attributes(pairs, None, refusals)

    assert MARKER not in repr(kept)
    assert MARKER not in repr(refusals)
    assert kept.keys() <= REGISTRY.fields.keys()
    known = {*REGISTRY.fields, *REGISTRY.refused, *REGISTRY.measures, OTHER}
    assert {dropped.name for dropped in refusals.counts} <= known


@settings(deadline=None)
@given(st.lists(st.tuples(names, nested), max_size=30))
def test_each_is_kept_or_counted(pairs: list[tuple[str, Any]]) -> None:
    """An attribute either is in what is kept (once a name) or adds one to a count."""
    refusals = Refusals()

    kept = guard().attributes(pairs, None, refusals)

    counted = sum(refusals.counts.values())
    assert counted + len(kept) <= len(pairs)
    assert {
        REGISTRY.by_any_name[name].name for name, _ in pairs if name in REGISTRY.by_any_name
    } >= set(kept)


def test_what_is_refused_is_counted_under_its_own_name_and_the_rest_under_other() -> None:
    """A name of the registry is shown; any other could be content, and is not."""
    refusals = Refusals()

    guard().attributes(
        [("user.email", "a@b"), ("my secret name", 1), ("model", 7), ("model", "gpt-5")],
        None,
        refusals,
    )

    assert {
        Dropped("user.email", "refused"): 1,
        Dropped(OTHER, "undeclared"): 1,
        Dropped("model", "wrong value"): 1,
    } == dict(refusals.counts)


def test_a_declaration_that_has_expired_lets_nothing_through() -> None:
    """On the day it expires a field is dropped, and so is a measure."""
    refusals = Refusals()
    late = Guard(REGISTRY, date(2999, 1, 1))

    assert {} == late.attributes([("model", "gpt-5")], None, refusals)
    assert late.measure("claude_code.token.usage", ("counter",), refusals) is None
    assert {
        Dropped("model", "undeclared"): 1,
        Dropped("claude_code.token.usage", "undeclared"): 1,
    } == dict(refusals.counts)


def test_a_field_of_another_measure_is_dropped() -> None:
    """What a measure does not list is not kept with it, declared or not."""
    refusals = Refusals()
    measure = REGISTRY.measures["bailee.turn.duration"]

    kept = guard().attributes([("outcome", "ok"), ("cost_usd", 1.0)], measure.attributes, refusals)

    assert {"outcome": "ok"} == kept
    assert {Dropped("cost_usd", "undeclared"): 1} == dict(refusals.counts)


def test_a_crowd_of_attributes_is_cut_off() -> None:
    """After the most that are read, the rest costs nothing and is counted once."""
    refusals = Refusals()

    guard().attributes(((f"n{i}", i) for i in range(10**9)), None, refusals)

    assert {Dropped(OTHER, "undeclared"): MOST_ATTRIBUTES, Dropped(OTHER, "too many"): 1} == dict(
        refusals.counts
    )


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("duration_ms", "12.5", 12.5),
        ("input_tokens", "7", 7),
        ("input_tokens", 7.5, None),
        ("input_tokens", -1, None),
        ("duration_ms", True, None),
        ("success", "true", True),
        ("success", "yes", None),
        ("os.type", "Darwin", "darwin"),
        ("os.type", "plan9", "other"),
        ("service.version", "2.1.197", "2.1.197"),
        ("service.version", "2.1.197-beta.3", "2.1.197-beta.3"),
        ("service.version", "2.1.197+deadbeef", None),
        ("model", "claude-opus-4-1-20250805", "claude-opus-4-1-20250805"),
        ("model", "claude-sonnet-4-5[1m]", "claude-sonnet-4-5[1m]"),
        ("model", "our-own-finetune", "other"),
        ("tool_name", "mcp__acme__pay", "other"),
        ("bailee.installation.id", "0123456789abcdef" * 2, "0123456789abcdef" * 2),
        ("bailee.installation.id", "ada", None),
        ("response", "great", None),
    ],
)  # fmt: skip
def test_values_are_taken_by_their_kind(name: str, given: object, kept: object) -> None:
    """Numbers and truth values as clients write them, lists with their aliases, closed patterns."""
    assert kept == REGISTRY.fields[name].kind.check(given)
