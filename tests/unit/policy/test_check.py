"""The check goes each way through the clauses once, and that is every combination."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bailee.policy import Policy
from bailee.policy.actions import ACTIONS
from bailee.policy.check import check, facts_of
from bailee.policy.loading import content
from bailee.policy.parsing import read
from bailee.policy.policy import Decision
from bailee.policy.proof import reaches

SMALL = content().decode()
# The same document with three variables fewer: small enough to go through one by one.
for _gone in ("DO_NOT_TRACK", "DISABLE_FEEDBACK_COMMAND", "CLAUDE_CODE_USE_FOUNDRY"):
    SMALL = "\n".join(
        line
        for line in SMALL.splitlines()
        if not (line.startswith(f"{_gone} =") or line.strip() == f'"{_gone}",')
    )
for _clause in ("send.do-not-track", "send.no-feedback-command", "send.use-foundry"):
    _start = SMALL.index(f'[[send]]\nid = "{_clause}"')
    SMALL = SMALL[:_start] + SMALL[SMALL.index("[[send]]", _start + 1) :]
SMALL = SMALL.replace(', selected_by = "CLAUDE_CODE_USE_FOUNDRY"', "")


@pytest.mark.row("P2")
def test_ways_decide_what_going_one_by_one_decides() -> None:
    """Each combination alone, decided by the software: the same clause, as often as was counted."""
    found = check(SMALL.encode(), "small.toml")
    assert found.combinations < 110_000
    for action in ACTIONS:
        space = found.policy.document.spaces[action]
        alone = Counter(
            found.policy.decide(action, facts_of(action, one)).clause
            for one in space.each(space.everything)
        )
        assert dict(alone) == found.decided[action]


@pytest.mark.row("P2")
def test_a_sample_of_the_shipped_document_decides_as_was_proved(policy: Policy) -> None:
    """Spread over all combinations, each is decided by the clause whose set it is in."""
    for action in ACTIONS:
        space = policy.document.spaces[action]
        reached = reaches(policy.document, action)
        for number in range(0, space.size, max(1, space.size // 1009)):
            one = space.combination(number)
            alone = space.matching([(fact, (value,)) for fact, value in one.items()])
            (by,) = [reach.clause.id for reach in reached if reach.decides & alone]
            assert by == policy.decide(action, facts_of(action, one)).clause


@pytest.mark.row("P2")
def test_a_decision_by_what_it_does_not_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Software that decided otherwise than its clauses say would fail the check."""
    decide = Policy.decide

    def wrong(self: Policy, action: str, facts: dict[str, Any]) -> Decision:
        if action == "retain" and facts["data_class"] == "metric" and facts["plan"] == "gov":
            facts = {**facts, "data_class": "cloud_workspace"}
        return decide(self, action, facts)

    monkeypatch.setattr(Policy, "decide", wrong)
    with pytest.raises(AssertionError, match=r"retain\.metric decides by a fact"):
        check(content(), "d.toml")


@pytest.mark.row("P2")
def test_a_clause_that_the_proof_gave_less_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Software that takes the clauses in another order than was proved fails the check."""

    def turned(document: bytes, file: str) -> Policy:
        policy = Policy(read(document, file))
        policy._clauses["resume"] = policy._clauses["resume"][::-1]
        return policy

    monkeypatch.setattr("bailee.policy.check.from_bytes", turned)
    with pytest.raises(AssertionError, match=r"resume\.deleted decided what another"):
        check(content(), "d.toml")
