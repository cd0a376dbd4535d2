"""Which of several upstreams a request goes to: by clause, in the operator's order, and what a
provider may store stays where it is.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bailee.errors import InputError
from bailee.policy import Policy, Unsound
from bailee.policy.choosing import DeclaredUpstream, UpstreamChoice
from bailee.policy.declaring import further_ones
from bailee.policy.loading import content, from_bytes
from bailee.policy.reaching import DeclaredTerms, ReachFacts, UpstreamTerms

pytestmark = pytest.mark.row("O4", "P1")

US = DeclaredUpstream("upstream", UpstreamTerms(DeclaredTerms(True, False, 30, "us-east-1")))
EUROPE = DeclaredUpstream("europe", UpstreamTerms(DeclaredTerms(False, False, region="eu")))
ATLANTIS = DeclaredUpstream("atlantis", UpstreamTerms())
ALL = (US, EUROPE, ATLANTIS)
USUAL = ReachFacts("team", "operator", zero_retention=False)
OWN_CLAUSES = """[places]
europe = { en = "our service in Europe", zh = "我们在欧洲的服务" }
other = { en = "another", zh = "其他" }

[teams]
research = { en = "research", zh = "研究" }
other = { en = "another team", zh = "其他团队" }

[clients]
codex = { en = "Codex", zh = "Codex" }
other = { en = "another program", zh = "其他程序" }

[[reach]]
id = "reach.research"
heading = "flow"
rows = ["O4"]
when = { residency = "anywhere", team = "research", model = "claude", place = "other" }
then = "deny"
en = "What research asks of Claude goes to our service in Europe."
zh = "研究团队向 Claude 提出的请求发往我们在欧洲的服务。"

[[reach]]
id = "reach.codex"
heading = "flow"
rows = ["O4"]
when = { residency = "anywhere", client = "codex", upstream = ["keeps", "trains", "undeclared"] }
then = "deny"
en = "Codex reaches only what keeps nothing."
zh = "Codex 只会到达不保留任何内容的上游。"

[[reach]]
id = "reach.residency-us"
"""


def _own_text() -> str:
    text = content().decode()
    text = text.replace(
        'reach = ["model", "region", "residency"]',
        'reach = ["model", "region", "residency", "place", "team", "client"]',
    )
    start = text.index('[[invariant]]\nid = "ordinary-keys-reach"')
    end = text.index("[[", start + 2)
    text = text[:start] + text[end:]
    # A zero-retention key of research goes on where nothing is kept, if that is the place.
    text = text.replace(
        'residency = "anywhere", zero_retention = true, upstream = "keeps_nothing", uses',
        'residency = "anywhere", team = "other", zero_retention = true, '
        'upstream = "keeps_nothing", uses',
    )
    clauses = OWN_CLAUSES.replace("[places]", "\n[places]")
    return text.replace('[[reach]]\nid = "reach.residency-us"\n', clauses, 1)


@pytest.fixture(scope="module")
def own() -> Policy:
    """An operator's document that chooses by team, client, model and an upstream's name."""
    return from_bytes(_own_text().encode(), "own.toml")


def test_the_first_that_no_clause_refuses_is_the_one(policy: Policy) -> None:
    """In the operator's order; with one upstream the choice is what it was."""
    choice = UpstreamChoice(policy, USUAL, ALL)
    assert (US, True, False) == (choice.home, choice.certain, choice.nowhere)

    zero = UpstreamChoice(policy, ReachFacts("team", "operator", zero_retention=True), ALL)
    assert (EUROPE, False) == (zero.home, zero.certain)
    assert "europe" == zero.of(("claude-x",), ()).upstream
    searching = zero.of(("claude-x",), ("web_search",))
    assert (None, "reach.provider-tools") == (
        searching.upstream,
        searching.reached.decision.clause,
    )


@pytest.mark.parametrize(
    ("demanded", "home", "clause"),
    [("eu", "europe", ""), ("us", "upstream", ""), ("us", None, "reach.residency-us")],
)
def test_a_demanded_region_is_the_only_one(
    policy: Policy, demanded: str, home: str | None, clause: str
) -> None:
    """Where none of the upstreams is in it, all is refused by the clause that says so."""
    who = ReachFacts("team", "operator", zero_retention=False, residency=demanded)
    given = ALL if home else (EUROPE, ATLANTIS)
    choice = UpstreamChoice(policy, who, given)

    found = choice.of(("claude-x",), ())
    assert (home, home is None) == (found.upstream, choice.nowhere)
    assert (clause or "reach.ordinary") == found.reached.decision.clause


def test_a_refusal_names_what_the_request_came_furthest_by(policy: Policy) -> None:
    """Of two upstreams that refuse, the clause that stands last in the document is said."""
    who = ReachFacts("team", "operator", zero_retention=True, residency="us")
    assert "reach.keeps" == UpstreamChoice(policy, who, ALL).of((), ()).reached.decision.clause
    both = UpstreamChoice(policy, who, (EUROPE, US))
    assert "reach.keeps" == both.of(("claude-x",), ()).reached.decision.clause


def test_a_document_chooses_by_team_client_model_and_name(own: Policy) -> None:
    """Each is a fact; a name that the document does not list is `other`."""
    research = ReachFacts("team", "operator", zero_retention=False, team="research")
    choice = UpstreamChoice(own, research, ALL)
    assert (US, False) == (choice.home, choice.certain)
    assert "europe" == choice.of(("claude-x",), ()).upstream
    assert "upstream" == choice.of(("gpt-5.5",), ()).upstream
    assert "europe" == choice.of(("gpt-5.5", "claude-x"), ()).upstream
    codex = ReachFacts("team", "operator", zero_retention=False, client="codex")
    assert "europe" == UpstreamChoice(own, codex, ALL).of(("gpt-5.5",), ()).upstream
    other = ReachFacts("team", "operator", zero_retention=False, team="sales", client="aider")
    assert UpstreamChoice(own, other, ALL).certain


def test_what_is_stored_stays_where_it_is(own: Policy) -> None:
    """Files, stored responses and what can't be read go to one upstream, whatever the model: what
    it refuses is refused, though another would take it.
    """
    research = ReachFacts("team", "operator", zero_retention=False, team="research")
    choice = UpstreamChoice(own, research, ALL)

    assert "upstream" == choice.of(("gpt-5.5",), ("files",)).upstream
    for uses in (("files",), ("storage",), ("web_search", "code_execution"), ("unread",)):
        refused = choice.of(("claude-x",), uses)
        assert (None, True) == (refused.upstream, refused.elsewhere)
        assert "reach.research" == refused.reached.decision.clause
    assert "europe" == choice.of(("claude-x",), ("web_search",)).upstream
    assert choice.of(("claude-x",), (), stays=True).upstream is None


def test_a_clients_own_credential_is_for_the_first(policy: Policy) -> None:
    """It goes to no other upstream, whoever would take it."""
    who = ReachFacts("team", "own", zero_retention=False, residency="eu")
    choice = UpstreamChoice(policy, who, ALL)
    assert (True, "upstream") == (choice.nowhere, choice.home.name)
    assert "reach.residency-us" != choice.of((), ()).reached.decision.clause
    assert "reach.residency-eu" == choice.of((), ()).reached.decision.clause


def preferring(names: str) -> Policy:
    """The operator's document, with a preference."""
    head, whole = "\non_limits_unknown", _own_text()
    assert head in whole
    return from_bytes(whole.replace(head, f"\nprefers = {names}{head}", 1).encode(), "p.toml")


def test_what_a_document_prefers_is_asked_first() -> None:
    """The others stand in the operator's order behind it; what it refuses goes on to them; a
    client's own credential is for the first of the file all the same.
    """
    policy = preferring('["europe"]')
    who = ReachFacts("team", "operator", zero_retention=False, team="sales", client="aider")

    assert EUROPE == UpstreamChoice(policy, who, ALL).home
    assert US == UpstreamChoice(policy, who, (ATLANTIS, US)[::-1]).home
    demanded = replace(who, residency="us")
    assert US == UpstreamChoice(policy, demanded, ALL).home
    own_credential = replace(who, credential="own")
    assert US == UpstreamChoice(policy, own_credential, ALL).home


@pytest.mark.parametrize("names", ['["atlantis"]', '["other"]', '["europe", "europe"]', "[]", "1"])
def test_a_preference_for_what_is_not_named_is_refused(names: str) -> None:
    """As anything that a document does not know."""
    with pytest.raises(Unsound, match="prefers"):
        preferring(names)


def test_further_upstreams_are_read_in_order() -> None:
    """With their terms, in the file's order."""
    terms = {"retains": False, "trains": False, "region": "eu"}
    azure = {"channel": "azure", "url": "https://b.example", "key_env": "B"}
    found = further_ones(
        {"b": azure, "a": {"channel": "api", "url": "https://a.example", "terms": terms}},
        "upstreams",
        ("upstream", "azure"),
    )
    assert [("b", "azure", "B"), ("a", "api", None)] == [
        (one.name, one.channel, one.key_env) for one in found
    ]
    assert EUROPE.terms == found[1].terms


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"x": {}}, "not a table that says something"),
        ({"X": {"url": "u"}}, "can be called 'X'"),
        ({"azure": {"url": "u"}}, "can be called 'azure'"),
        ({"other": {"url": "u"}}, "can be called 'other'"),
        ({"x": {"url": "u"}}, "channel is no channel"),
        ({"x": {"channel": "api"}}, "has no url"),
        ({"x": {"channel": "api", "url": 3}}, "url is not a text"),
        ({"x": {"channel": "api", "url": "u", "key": "sk-1"}}, "can't hold 'key'"),
        ({"x": {"channel": "api", "url": "u", "region": "eu"}}, "region is only for bedrock"),
        ({"x": {"channel": "bedrock", "url": "u", "key_env": "K"}}, "bedrock takes no key"),
        ({f"x{n}": {} for n in range(21)}, "20 tables at the most"),
        ([], "20 tables at the most"),
    ],
)
def test_a_wrong_one_is_refused(table: object, reason: str) -> None:
    """Each with its place; no value of it is repeated."""
    with pytest.raises(InputError, match=reason) as refused:
        further_ones(table, "upstreams", ("upstream", "bedrock", "azure"))
    assert "configuration" == refused.value.code
    assert "sk-1" not in str(refused.value)
