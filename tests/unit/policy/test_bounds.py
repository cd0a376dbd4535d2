"""How far settings may go by a document: every bound beside every setting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations
from pathlib import Path

import pytest

from bailee.config import SETTINGS
from bailee.policy import bounds
from bailee.policy.amounts import most_in_words, problems
from bailee.policy.check import check
from bailee.policy.diff import compare
from bailee.policy.document import Document, Language
from bailee.policy.loading import VERSIONS, from_bytes, shipped
from bailee.policy.page import page
from bailee.policy.parsing import read
from bailee.policy.period import expires_at
from bailee.policy.reading import Unsound
from bailee.policy.wording import bound_in_words
from support.documents import edited

DOCS = Path(__file__).resolve().parents[3] / "docs"
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
en = "Of an account {at_most} are kept."
zh = "每个账户最多保留 {at_most}。"
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


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bounds_text_has_its_number_from_the_bound(version: str) -> None:
    """In both languages, and of each shipped document: with the number goes the text."""
    text = shipped(version).decode()
    assert [] == [*problems(read(text.encode(), "as shipped"))]
    for of, written in AT.items():
        for longest, en, zh in (("P3D", "3 days", "3 天"), ("P5D", "5 days", "5 天")):
            edits = written, f'at_most = "{longest}"'
            bound = read(text.replace(*edits, 1).encode(), "edited").bound(of)
            assert bound is not None
            assert en in bound.clause.text.en and zh in bound.clause.text.zh
            assert "{" not in bound.clause.text.en + bound.clause.text.zh


@pytest.mark.parametrize(
    ("was", "said", "language"),
    [
        ("for {at_most} at most", "for a day at most", "en"),
        ("for {at_most} at most", "for 25 hours at most", "en"),
        ("for {at_most} at most", "for {at_most}, or 30, at most", "en"),
        ("最多在 {at_most}之内", "最多在一天之内", "zh"),
        ("最多在 {at_most}之内", "最多在 48 小时之内", "zh"),
    ],
)
def test_a_document_whose_words_say_another_number_does_not_come_to_hold(
    was: str, said: str, language: str
) -> None:
    """It is refused where the bound stands; one that has held so is still read."""
    document = edited((was, said)).encode()
    with pytest.raises(Unsound, match=f"The {language} text of bound.old-keys does not say '24"):
        check(document, "ours.toml")
    assert from_bytes(document, "ours.toml").document.bound(bounds.OLD_KEYS)
    check(edited((was, was.replace("{at_most}", {"en": "24 hours", "zh": "24 小时"}[language])))
          .encode(), "ours.toml")  # fmt: skip


@pytest.mark.parametrize(
    ("page", "language", "said"),
    [
        ("threat-model.md", "en", "({}, as shipped)"),
        ("guides/backup.md", "en", "({}, as shipped)"),
        ("zh/guides/backup.md", "zh", "（随附版本为 {}）"),
    ],
)
def test_pages_say_how_long_keys_of_backups_live_as_the_shipped_documents_do(
    page: str, language: Language, said: str
) -> None:
    """Each of them, in the words that the bound's own text has."""
    for version in VERSIONS:
        bound = read(shipped(version), version).bound(bounds.KEY_SNAPSHOTS)
        assert bound is not None and bound.at_most is not None
        most = said.format(most_in_words(bound.of, bound.at_most, language))
        assert most in (DOCS / page).read_text()


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


AGENT = """
[[bound]]
id = "bound.agent"
heading = "retention"
rows = ["P1"]
of = "OF"
only = ONLY
en = "Agents have these alone."
zh = "智能体只可使用这些。"
"""


def of_agents(of: str, only: str) -> str:
    """The shipped document with a bound of what agents reach, `only` as it is written."""
    bound = AGENT.replace("OF", of).replace("ONLY", only)
    return edited(("\n[dates]\n", f"{bound}\n[dates]\n"))


@pytest.mark.parametrize(
    ("of", "only", "en", "zh"),
    [
        (bounds.WEB_PAGES, "[]", "none", "无"),
        (bounds.WEB_PAGES, '["*.a.example", "b.example"]', "*.a.example or b.example", None),
        (bounds.MCP_SERVERS, '["programs", "*"]', "programs or any host", "程序或任何主机"),
    ],
)
def test_what_agents_reach_is_bounded_by_hosts(of: str, only: str, en: str, zh: str | None) -> None:
    """With its setting and its words; a document without one leaves it to people's settings."""
    document = read(of_agents(of, only).encode(), "ours.toml")
    bound = document.bound(of)
    assert bound is not None and bound.clause in document.statements
    assert en == bound_in_words(bound, "en")
    assert zh is None or zh == bound_in_words(bound, "zh")
    before = from_bytes(shipped(VERSIONS[-2]), "shipped.toml").document
    assert before.bound(of) is None
    assert f"bound of {of}" in [name for name, _, _ in compare(before, document).settings]


@pytest.mark.parametrize(
    ("of", "only"),
    [
        (bounds.WEB_PAGES, '["programs.Example"]'),
        (bounds.WEB_PAGES, '["https://a.example/"]'),
        (bounds.WEB_PAGES, '["a.*.example"]'),
        (bounds.MCP_SERVERS, '["git "]'),
    ],
)
def test_what_is_no_host_bounds_nothing(of: str, only: str) -> None:
    """It is refused, rather than never to fit."""
    with pytest.raises(Unsound, match="is no host"):
        read(of_agents(of, only).encode(), "ours.toml")


def test_a_host_is_itself_or_below_a_star() -> None:
    """In any case of letters, with the root's dot or without; nothing that only ends like it."""
    only = ("a.example", "*.b.example", "10.0.0.1")
    let = ("a.example", "A.Example.", "x.b.example", "y.x.b.example", "10.0.0.1")
    shut = ("b.example", "xa.example", "x.a.example", "xb.example", "a.example.evil", "")
    assert [True] * 5 + [False] * 6 == [bounds.lets(only, one) for one in (*let, *shut)]
    assert bounds.lets(("*",), "any.example") and not bounds.lets((), "a.example")
