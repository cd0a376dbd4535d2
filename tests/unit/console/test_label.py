"""The privacy label: what it says is what the policy decides for this account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bailee.accounts import Account
from bailee.console.label import label
from bailee.policy import load
from bailee.policy.diagram import Configuration, ModelService
from bailee.policy.reaching import DeclaredTerms, UpstreamTerms

POLICY = load()
NOTHING = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
EVERYTHING = Configuration(
    "http://127.0.0.1:1",
    False,
    (),
    "folder",
    "file",
    frozenset({"metrics", "errors", "bug_report", "survey"}),
)


def account(plan: str, choice: str = "none", partner: bool = False) -> Account:
    """An account of a plan."""
    return Account("acc_1", "a", plan, choice, None, partner, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("whose", "kept", "effect"),
    [
        (account("pro", "allowed"), "5 years", "allow"),
        (account("pro", "refused"), "30 days", "deny"),
        (account("max"), "30 days", "deny"),
        (account("team"), "30 days", "deny"),
        (account("team", partner=True), "30 days", "allow"),
    ],
)
def test_the_first_line_is_the_persons_own(whose: Account, kept: str, effect: str) -> None:
    """How long, and whether it is trained on; the purposes say the same."""
    found = label(POLICY, whose, NOTHING, "en")

    transcript = found.lines[0]
    assert (kept, effect) == (transcript.kept, found.training.effect)
    assert (effect == "allow") == ("training" in transcript.purposes)


def test_every_line_can_be_asked_again() -> None:
    """The facts behind "why?" give the same clause."""
    found = label(POLICY, account("pro", "refused"), EVERYTHING, "en")

    for line in found.lines:
        facts = {n: {"true": True, "false": False}.get(v, v) for n, v in line.facts.items()}
        assert line.clause == POLICY.decide("retain", facts).clause


def test_only_what_the_server_takes_in_is_listed() -> None:
    """No line about reports or ratings where nothing receives them."""
    few = label(POLICY, account("pro"), NOTHING, "en")
    all_of_it = label(POLICY, account("pro"), EVERYTHING, "en")

    assert ["transcript", "transcript_kept", "usage_count", "local_transcript"] == [
        line.data_class for line in few.lines
    ]
    assert {"metric", "error_event", "feedback_report", "survey_rating"} < {
        line.data_class for line in all_of_it.lines
    }


def test_a_rating_is_nobodys() -> None:
    """Not linked, and not to be found for anyone."""
    found = label(POLICY, account("pro"), EVERYTHING, "en")

    (rating,) = (line for line in found.lines if line.data_class == "survey_rating")
    assert ("unlinked", "nothing_to_find") == (rating.linked, rating.going)


@pytest.mark.row("O4")
def test_what_each_upstream_keeps_is_on_it() -> None:
    """As it is declared; who declares nothing has the worst terms."""
    terms = UpstreamTerms(DeclaredTerms(retains=True, trains=False, days=30))
    services = (
        ModelService("api", "models.test", terms=terms),
        ModelService("bedrock", "rock.test"),
    )
    running = Configuration("http://127.0.0.1:1", False, services, "folder", "file")

    found = label(POLICY, account("team"), running, "en").upstreams

    assert [
        ("models.test", "Keeps what is sent for 30 days, does not train on it", True),
        ("rock.test", "Declares no terms: taken to keep everything and to train on it", False),
    ] == [(one.name, one.terms, one.declared) for one in found]


@pytest.mark.row("O4")
def test_of_several_upstreams_those_are_on_it_that_a_clause_lets_the_account_reach() -> None:
    """Where a region is demanded, that and the upstreams there; none where the document that holds
    does not know the region.
    """
    here = UpstreamTerms(DeclaredTerms(retains=False, trains=False, region="eu-west-1"))
    there = UpstreamTerms(DeclaredTerms(retains=True, trains=False, region="us"))
    services = (
        ModelService("api", "us.test", terms=there, upstream="upstream"),
        ModelService("api", "eu.test", terms=here, upstream="europe"),
    )
    running = Configuration("http://127.0.0.1:1", False, services, "folder", "file")
    team = account("team")

    def shown(region: str | None) -> tuple[str | None, list[str]]:
        found = label(POLICY, replace(team, residency=region), running, "en")
        return found.residency, [one.name for one in found.upstreams]

    assert (None, ["us.test", "eu.test"]) == shown(None)
    assert ("eu", ["eu.test"]) == shown("eu")
    assert (None, []) == shown("mars")
