"""How far settings may go by a document: every bound beside every setting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations

import pytest

from bailee.config import SETTINGS
from bailee.policy import bounds
from bailee.policy.diff import compare
from bailee.policy.document import Document
from bailee.policy.loading import VERSIONS, from_bytes, shipped
from bailee.policy.page import page
from bailee.policy.parsing import read
from bailee.policy.period import expires_at
from bailee.policy.wording import bound_in_words
from support.documents import edited

pytestmark = pytest.mark.row("P1", "R5", "R6", "S1", "S2")
DEFAULTS = {one.name: one.default for one in SETTINGS}
HOURS = {"PT1H": 1, "PT6H": 6, "PT24H": 24, "P1D": 24, "PT25H": 25, "P2D": 48, "P14D": 336}
PERIODS = ("P1D", "P28D", "P30D", "P31D", "P45D", "P1M", "P2M", "P90D", "P1Y")
SUBSETS = tuple(chain.from_iterable(combinations(bounds.PLACES, some) for some in range(3)))
GOES = {
    "none": (),
    "store": ("store",),
    "otlp:https://c.example": ("onward",),
    "store otlp:https://c.example": ("store", "onward"),
    "sentry:https://k@s.example/1 store": ("store", "onward"),
}
"""What a setting says, and where that is."""
SIZE = """
[[bound]]
id = "bound.size"
heading = "retention"
rows = ["R1"]
of = "OF"
at_most = "MOST MiB"
en = "No more of an account is kept."
zh = "每个账户最多保留这些。"
"""
AT = {
    bounds.OLD_KEYS: 'at_most = "PT24H"',
    bounds.KEY_SNAPSHOTS: 'at_most = "P14D"',
    bounds.ANSWERS: 'at_most = "P1M"',
    bounds.FURTHER: 'at_most = "P2M"',
}


def of_time(of: str, longest: str) -> Document:
    """The shipped document with another bound of a time."""
    return read(edited((AT[of], f'at_most = "{longest}"')).encode(), "ours.toml")


def of_places(of: str, only: tuple[str, ...]) -> Document:
    """The same of places."""
    listed = ", ".join(f'"{one}"' for one in only)
    whole = f'of = "{of}"\nonly = ["store", "onward"]'
    return read(edited((whole, f'of = "{of}"\nonly = [{listed}]')).encode(), "ours.toml")


def of_size(of: str, most: int) -> Document:
    """The shipped document with a bound of a size."""
    bound = SIZE.replace("OF", of).replace("MOST", str(most))
    return read(edited(("\n[dates]\n", f"{bound}\n[dates]\n")).encode(), "ours.toml")


def without_bounds() -> Document:
    """The shipped document as an earlier one was."""
    text = edited()
    start = text.index("[[bound]]")
    end = text.index("[[invariant]]")
    return from_bytes((text[:start] + text[end:]).encode(), "silent.toml").document


@pytest.mark.parametrize("version", VERSIONS)
def test_the_shipped_documents_bound_all_but_sizes_and_no_default(version: str) -> None:
    """Each on the page, with how far it goes; nobody who wrote no setting is told of one."""
    policy = from_bytes(shipped(version), f"{version}.toml")
    document = policy.document
    without = {one for one in bounds.SETTING_OF if one not in bounds.SIZES}
    assert without == {one.of for one in document.bounds}
    for one in document.bounds:
        assert one.clause in document.statements
        assert one.clause is policy.clause(one.clause.id)
        default = DEFAULTS[bounds.SETTING_OF[one.of]]
        assert default is not None and not bounds.exceeds(one, default)
    items = {
        item.id: item.outcome
        for section in page(policy, "en").sections
        for block in section.blocks
        for item in getattr(block, "items", ())
    }
    assert ("24 hours at most", "2 months at most", "kept here or passed on") == tuple(
        items[f"bound.{one}"] for one in ("old-keys", "answers-further", "metrics")
    )


def test_a_document_that_says_nothing_of_it_leaves_settings_as_they_are() -> None:
    """As every document did."""
    silent = without_bounds()
    assert () == silent.bounds
    assert 336 == bounds.hours(silent, bounds.KEY_SNAPSHOTS, 336)
    assert bounds.PLACES == bounds.places(silent, bounds.METRICS)
    assert ("P1Y",) == bounds.times(silent, bounds.ANSWERS, "P1Y")


@pytest.mark.parametrize("of", [bounds.OLD_KEYS, bounds.KEY_SNAPSHOTS])
def test_of_hours_the_fewer_hold(of: str) -> None:
    """Every bound beside every setting; and it is said where the setting is the longer one."""
    for longest, hours in HOURS.items():
        document = of_time(of, longest)
        bound = document.bound(of)
        assert bound is not None
        for setting in range(1, 24 * 14 + 1):
            assert (hours if hours < setting else setting) == bounds.hours(document, of, setting)
            assert (setting > hours) == bounds.exceeds(bound, setting)


@pytest.mark.parametrize("of", bounds.SIZES)
def test_of_sizes_the_fewer_hold_and_none_is_the_most(of: str) -> None:
    """Every bound beside every setting, 0 among them."""
    for most in (1, 1024, 4096, 10**9 - 1):
        document = of_size(of, most)
        bound = document.bound(of)
        assert bound is not None
        for setting in (0, 1, 2, 1023, 1024, 1025, 4096, 10**12):
            held = bounds.mib(document, of, setting)
            assert held == (setting if 0 < setting < most else most)
            assert bounds.exceeds(bound, setting) == (held != setting)
    (said,) = [one for one in of_size(of, 4096).bounds if one.of == of]
    assert "4096 MiB at most" == bound_in_words(said, "en")
    assert [0, 7] == [bounds.mib(without_bounds(), of, setting) for setting in (0, 7)]


@pytest.mark.parametrize("of", [bounds.ANSWERS, bounds.FURTHER])
def test_of_two_times_by_the_calendar_what_ends_first_holds(of: str) -> None:
    """On each day of four years: never later than the document, never later than the setting."""
    days = [datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(0, 1461, 9)]
    for longest in PERIODS:
        document = of_time(of, longest)
        bound = document.bound(of)
        assert bound is not None
        for setting in PERIODS:
            both = bounds.times(document, of, setting)
            ends = [{one: expires_at(day, one) for one in (longest, setting)} for day in days]
            for day, either in zip(days, ends, strict=True):
                assert min(either.values()) == min(expires_at(day, one) for one in both)
            later = any(either[setting] > either[longest] for either in ends)
            assert later or not bounds.exceeds(bound, setting)


@pytest.mark.parametrize("of", [bounds.METRICS, bounds.ERRORS])
def test_of_places_those_are_left_that_both_name(of: str) -> None:
    """Every set of places beside every kind of setting."""
    for only in SUBSETS:
        document = of_places(of, only)
        bound = document.bound(of)
        assert bound is not None
        assert only == bounds.places(document, of)
        for setting, goes in GOES.items():
            assert {*goes} == bounds.named(setting)
            assert bounds.exceeds(bound, setting) == any(one not in only for one in goes)


def test_what_a_bound_changes_is_compared() -> None:
    """By what it is of, whatever its words and its id."""
    before = read(edited().encode(), "old.toml")
    after = read(
        edited(
            (AT[bounds.KEY_SNAPSHOTS], 'at_most = "PT48H"'),
            ('of = "errors"\nonly = ["store", "onward"]', 'of = "errors"\nonly = []'),
        ).encode(),
        "new.toml",
    )
    assert {
        ("bound of key_snapshots", "at most P14D", "at most PT48H"),
        ("bound of errors", "store, onward", "nowhere"),
    } == set(compare(before, after).settings)
    gone = compare(before, without_bounds()).settings
    assert ("bound of old_keys", "at most PT24H", "none") in gone


def test_a_bound_is_said_in_words() -> None:
    """In both languages, of each kind."""
    said = of_time(bounds.OLD_KEYS, "PT1H").bound(bounds.OLD_KEYS)
    nowhere = of_places(bounds.ERRORS, ()).bound(bounds.ERRORS)
    assert said is not None and nowhere is not None
    assert ("1 hour at most", "最多 1 小时") == (
        bound_in_words(said, "en"),
        bound_in_words(said, "zh"),
    )
    assert ("nowhere", "不保存，也不转发") == (
        bound_in_words(nowhere, "en"),
        bound_in_words(nowhere, "zh"),
    )
