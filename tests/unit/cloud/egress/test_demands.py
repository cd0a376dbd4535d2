"""What an organisation demands of its sessions' network only refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.egress.demands import DemandingRules, EgressDemand
from bailee.cloud.egress.rules import EgressRules, Level
from bailee.errors import InputError
from bailee.outbound.hosts import read_host

pytestmark = pytest.mark.row("C3", "P1")
hosts = st.sampled_from(["pypi.org", "a.pypi.org", "example.org", "github.com", "1.1.1.1"])
demands = st.lists(
    st.builds(
        EgressDemand.of,
        st.sampled_from(["own.a", "own.b"]),
        st.sampled_from([None, "none", "trusted"]),
        st.lists(st.sampled_from(["pypi.org", "*.pypi.org", "github.com", "1.1.1.1"]), max_size=2),
    )
    | st.just(EgressDemand("cloud_opens", None, (), listed=False, whose="the policy document")),
    max_size=4,
)


@given(st.sampled_from(list(Level)), demands, hosts, st.sampled_from([22, 80, 443]))
def test_nothing_is_reached_that_the_rules_do_not_let_be(
    level: Level, demanded: list[EgressDemand], host: str, port: int
) -> None:
    """What is reached with demands is reached without; what they name, or have no level for, is
    not; and a refusal by one names its clause.
    """
    rules = EgressRules.of(level, allow=["example.org"])
    asked = read_host(host), port
    plain = rules.decide(*asked)
    found = DemandingRules(rules, lambda: demanded).decide(*asked)

    named = any(one.covers(*asked) for demand in demanded for one in demand.hosts)
    levels = [level, *(one.level for one in demanded if one.level is not None)]
    lists = ["example.org"] if all(one.listed for one in demanded) else []
    left = EgressRules.of(min(levels, key=list(Level).index), allow=lists).decide(*asked)
    assert (plain.allowed and not named and left.allowed) == found.allowed
    assert found == plain or found.rule in ("own.a", "own.b", "cloud_opens")


def test_another_document_holds_for_a_session_that_runs() -> None:
    """They are asked for at each connection."""
    held: list[EgressDemand] = []
    rules = DemandingRules(EgressRules.of("full"), lambda: held)
    host = read_host("example.org")
    before = rules.decide(host, 443)
    held.append(EgressDemand.of("own.shut", "none", ()))
    after = rules.decide(host, 443)

    assert (True, False) == (before.allowed, after.allowed)
    assert ("own.shut", "the organisation's policy has the network at none") == (
        after.rule,
        after.reason,
    )


def test_two_demands_leave_what_both_leave() -> None:
    """A host that a list opens beyond a level is not reached where lists open none, whichever of
    the two stands first; each refusal says whose document it is.
    """
    rules = EgressRules.of("full", allow=["example.org", "registry.example.net:8443"])
    level = EgressDemand.of("own.level", "trusted", ())
    closed = EgressDemand("cloud_opens", None, (), listed=False, whose="the policy document")
    host, other = read_host("example.org"), read_host("registry.example.net")

    def found(*demands: EgressDemand) -> tuple[str, str]:
        by = DemandingRules(rules, lambda: demands).decide(host, 443)
        return by.rule, by.reason

    assert "allow:example.org" == found(level)[0] == found(closed)[0]
    assert ("cloud_opens", "the policy document opens no hosts by lists") == found(level, closed)
    assert ("own.level", "the organisation's policy has the network at trusted") == found(
        closed, level
    )
    beyond = DemandingRules(rules, lambda: [closed]).decide(other, 8443)
    assert (False, "cloud_opens") == (beyond.allowed, beyond.rule)


def test_what_is_no_host_is_refused() -> None:
    """When a document is given, so that no session meets it."""
    with pytest.raises(InputError, match="no entry for a list of hosts"):
        EgressDemand.of("own.a", None, ["1.2.3"])
