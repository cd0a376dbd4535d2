"""An upstream's declared terms become facts, the worst where nothing is declared."""

from __future__ import annotations

import pytest

from bailee.errors import InputError
from bailee.policy import Policy
from bailee.policy.declaring import declared
from bailee.policy.loading import content, from_bytes
from bailee.policy.reaching import (
    DeclaredTerms,
    ReachFacts,
    UpstreamTerms,
    reach,
    reaches_all,
)
from bailee.policy.wording import upstream_in_words

NOTHING = DeclaredTerms(retains=False, trains=False)
KEEPS = DeclaredTerms(retains=True, trains=False, days=30, region="eu-west-1")
ZERO = ReachFacts("api", "operator", zero_retention=True)
USUAL = ReachFacts("api", "operator", zero_retention=False)
MIXED = UpstreamTerms(NOTHING, (("keeps-*", KEEPS), ("exact", KEEPS)))


def without(text: str, *invariants: str) -> str:
    """A document's text without some invariants."""
    for name in invariants:
        start = text.index(f'[[invariant]]\nid = "{name}"')
        end = text.find("[[", start + 2)
        text = text[:start] + (text[end:] if end > 0 else "")
    return text


def by(policy: Policy, upstream: UpstreamTerms, *models: str, uses: tuple[str, ...] = ()) -> str:
    """The clause that decides about a zero-retention key's request."""
    return reach(policy, ZERO, upstream, models, uses).decision.clause


@pytest.mark.row("O4")
def test_the_terms_are_those_of_each_model_that_is_named(policy: Policy) -> None:
    """All must allow; a model that can't be told is any; nothing declared is the worst."""
    assert "reach.zero-retention" == by(policy, MIXED, "other")
    assert "reach.keeps" == by(policy, MIXED, "keeps-1")
    assert "reach.keeps" == by(policy, MIXED, "other", "exact")
    assert "reach.zero-retention" == by(policy, MIXED, "exactly")
    assert "reach.keeps" == by(policy, MIXED)
    assert "reach.undeclared" == by(policy, UpstreamTerms(), "other")
    assert "reach.undeclared" == by(policy, UpstreamTerms(None, (("keeps-*", KEEPS),)), "x")


@pytest.mark.row("O4")
def test_the_first_refusal_of_any_use_is_the_answer(policy: Policy) -> None:
    """One use that is refused refuses the request; which was it is said."""
    assert "reach.stored" == by(policy, MIXED, "other", uses=("files",))
    assert "reach.unread" == by(policy, MIXED, "other", uses=("files", "unread"))
    assert "web_search" == reach(policy, ZERO, MIXED, ("other",), ("web_search",)).use
    assert reach(policy, USUAL, UpstreamTerms(), (), ("files", "unread")).allowed


def test_who_may_use_all_is_not_looked_at(policy: Policy) -> None:
    """An ordinary key, and any with its own credential; never a zero-retention key."""
    assert reaches_all(policy, USUAL, UpstreamTerms())
    assert reaches_all(policy, ReachFacts("pro", "own", zero_retention=True), UpstreamTerms())
    assert not reaches_all(policy, ZERO, UpstreamTerms(NOTHING))


@pytest.mark.row("O4")
def test_a_document_can_decide_by_region_and_model() -> None:
    """An operator's own clause: a plan's requests to a family stay in a region."""
    own = content().decode()
    clause = """[[reach]]
id = "reach.residency"
heading = "flow"
rows = ["O4"]
when = { plan = "gov", model = "claude", region = ["eu", "elsewhere", "undeclared"] }
then = "deny"
en = "Stays in the United States."
zh = "仅限美国境内。"

[[reach]]
id = "reach.own-credential"
"""
    own = own.replace('[[reach]]\nid = "reach.own-credential"\n', clause, 1)
    own = without(own, "ordinary-keys-reach")
    own = without(own, "zero-retention-can-work", "residency-eu-can-work")
    policy = from_bytes(own.encode(), "own.toml")
    gov = ReachFacts("gov", "operator", zero_retention=False)
    us = DeclaredTerms(retains=True, trains=False, region="us-east-1")

    assert (
        "reach.residency"
        == reach(policy, gov, UpstreamTerms(KEEPS), ("claude-x",), ()).decision.clause
    )
    assert reach(policy, gov, UpstreamTerms(us), ("claude-x",), ()).allowed
    assert reach(policy, gov, UpstreamTerms(KEEPS), ("gpt-5.5",), ()).allowed
    assert not reach(policy, gov, UpstreamTerms(KEEPS), (), ()).allowed
    assert not reaches_all(policy, gov, UpstreamTerms(KEEPS))


@pytest.mark.row("O4")
def test_terms_are_read_and_said() -> None:
    """As declared, in both languages; a model takes what it does not say from the rest."""
    found = declared(
        {
            "retains": True,
            "days": 30,
            "trains": False,
            "region": "us",
            "zero_retention": True,
            "models": [{"model": "Keeps-*", "zero_retention": False}],
        },
        "upstream.terms",
    )

    assert ["keeps_nothing", "keeps"] == [one.fact for one in found.every if one is not None]
    assert (
        "keeps nothing of conversations, other things for 30 days, does not train on it, in us; "
        "keeps-*: keeps what is sent for 30 days, does not train on it, in us"
    ) == upstream_in_words(found, "en")
    assert "未声明条款：视为保留一切内容并用于训练" == upstream_in_words(UpstreamTerms(), "zh")


@pytest.mark.row("O4")
@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "not a table that says something"),
        ({"retains": False}, "trains is not true or false"),
        ({"retains": "no", "trains": False}, "retains is not true or false"),
        ({"retains": False, "trains": False, "days": 3}, "has days and retains nothing"),
        ({"retains": True, "trains": False, "days": 0}, "days is not a whole number"),
        ({"retains": True, "trains": True, "zero_retention": True}, "is not trained on"),
        ({"retains": False, "trains": False, "regoin": "us"}, "can't hold 'regoin'"),
        ({"retains": False, "trains": False, "region": "U S"}, "no name of a region"),
        ({"retains": False, "trains": False, "models": [{"trains": True}]}, "names no model"),
        ({"models": [{"model": "a"}]}, "retains is not true or false"),
    ],
)
def test_a_declaration_that_would_be_guessed_at_is_refused(
    table: dict[str, object], reason: str
) -> None:
    """Half, contradictory, misspelled: with its place."""
    with pytest.raises(InputError, match=reason) as refused:
        declared(table, "upstream.terms")
    assert "configuration" == refused.value.code
    assert "upstream.terms" in refused.value.message
