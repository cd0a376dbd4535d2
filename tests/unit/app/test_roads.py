"""Where a key's requests go, as the gateway is told: at once where that is certain, else once they
were looked at; by team; nowhere from a region that the document does not know.
"""

from __future__ import annotations

import pytest

from bailee.api import Api
from bailee.app.reaching import Roads, roads_of
from bailee.errors import PolicyDenied
from bailee.gateway.routes import GatewayRoute, route
from bailee.policy import Policy, load
from bailee.policy.choosing import DeclaredUpstream
from bailee.policy.loading import content, from_bytes
from bailee.policy.reaching import DeclaredTerms, ReachFacts, UpstreamTerms
from bailee.usage.asking import NOBODY, WholeRequest

pytestmark = pytest.mark.row("O4")

US = DeclaredUpstream("upstream", UpstreamTerms(DeclaredTerms(True, False, 30, "us")))
EUROPE = DeclaredUpstream("europe", UpstreamTerms(DeclaredTerms(False, False, region="eu")))
BOTH = {"api": (US, EUROPE)}
BODY = b'{"model":"claude-x","messages":[]}'


def where(method: bytes, target: bytes) -> GatewayRoute:
    """The route of a request."""
    found = route(method, target)
    assert isinstance(found, GatewayRoute)
    return found


CONVERSATION = where(b"POST", b"/v1/messages")
MODELS = where(b"GET", b"/v1/models")


def request(body: bytes = BODY) -> WholeRequest:
    """A request that is there whole."""
    return WholeRequest("req_1", NOBODY, Api.MESSAGES, "/v1/messages", body, "", own=False)


def roads(policy: Policy, **facts: object) -> Roads | None:
    """Those of a team plan's key."""
    asked: dict[str, object] = {"zero_retention": False, **facts}
    return roads_of(policy, BOTH, ("api",), plan="team", **asked)  # type: ignore[arg-type]


def test_who_goes_to_the_first_whatever_they_send_has_no_roads() -> None:
    """Nothing is asked for their requests."""
    assert roads(load()) is None
    at_home = roads(load(), residency="us")
    assert at_home is None


def test_who_goes_to_another_whatever_they_send_is_not_looked_at() -> None:
    """A demand for Europe: one road, and none for a credential of the client's own."""
    found = roads(load(), residency="eu")
    assert found is not None
    assert ("europe", None) == (
        (road := found.road("", CONVERSATION, False, "")).upstream,
        road.look,
    )
    for route_of in (CONVERSATION, MODELS):
        shut = found.road("", route_of, True, "").look
        assert shut is not None
        assert isinstance(shut(b"POST", request()), PolicyDenied)
    assert "europe" == found.road("", MODELS, False, "").upstream


def test_a_region_that_the_document_does_not_know_leads_nowhere() -> None:
    """Not even a list of models, and not to an upstream that is said to be there."""
    found = roads(load(), residency="mars")
    assert found is not None
    for route_of in (CONVERSATION, MODELS):
        look = found.road("", route_of, False, "").look
        assert look is not None
        refused = look(b"POST", request())
        assert isinstance(refused, PolicyDenied)
        assert "answered from mars alone" in refused.message


def test_a_team_is_a_fact_where_the_document_reads_it() -> None:
    """Each request by its team's road; a team that is not listed is another one."""
    text = content().decode().replace('"region", "residency"]', '"region", "residency", "team"]', 1)
    clause = """[teams]
research = { en = "research", zh = "研究" }
other = { en = "another team", zh = "其他团队" }

[[reach]]
id = "reach.research"
heading = "flow"
rows = ["O4"]
when = { team = "research", upstream = ["keeps", "trains", "undeclared"] }
then = "deny"
en = "Research reaches only what keeps nothing."
zh = "研究团队只会到达不保留任何内容的上游。"

[[reach]]
id = "reach.residency-us"
"""
    text = text.replace('[[reach]]\nid = "reach.residency-us"\n', "\n" + clause, 1)
    for name in ("ordinary-keys-reach", "residency-us-can-work", "residency-eu-can-work"):
        at = text.index("when = { ", text.index(f'id = "{name}"'))
        text = text[:at] + text[at:].replace("when = { ", 'when = { team = "other", ', 1)
    found = roads(from_bytes(text.encode(), "own.toml"))
    assert found is not None and found.by_team
    assert "europe" == found.road("research", CONVERSATION, False, "").upstream
    assert "upstream" == found.road("sales", CONVERSATION, False, "").upstream
    assert "upstream" == found.road("", CONVERSATION, False, "").upstream


def test_a_defect_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a zero-retention key, that is refused which can't be looked at."""
    found = roads(load(), zero_retention=True)
    assert found is not None
    look = found.road("", CONVERSATION, False, "").look
    assert look is not None
    assert "europe" == look(b"POST", request())

    def broken(*_: object) -> None:
        raise RuntimeError("session text")

    monkeypatch.setattr("bailee.app.reaching.look_at", broken)
    refused = look(b"POST", request())
    assert isinstance(refused, PolicyDenied)
    assert "session text" not in refused.message


def test_the_facts_are_the_keys() -> None:
    """The same facts, the same roads: nothing of a request is kept in them."""
    made = Roads(load(), BOTH, ReachFacts("team", "operator", zero_retention=True))
    first = made.road("", CONVERSATION, False, "codex")
    again = made.road("any", CONVERSATION, False, "aider")
    assert first.upstream == again.upstream
    assert 1 == len(made._made)
