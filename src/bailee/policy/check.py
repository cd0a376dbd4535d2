"""`check`: a document proved by sets, then decided by the software for every combination.

The proof computes with sets of combinations; the decisions that the software takes go another way,
clause by clause and through a table. Here both are run over every combination and must agree.

A decision reads few facts: what it read, `Explanation` tells. All combinations that would have
been read alike take the same way through the clauses, and make one box. So each way is decided
once, and once more for each value of each fact in its box; boxes are taken until nothing is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from bailee.policy.actions import ACTIONS
from bailee.policy.amounts import problems
from bailee.policy.document import Condition
from bailee.policy.loading import from_bytes
from bailee.policy.policy import Policy
from bailee.policy.proof import reaches
from bailee.policy.reading import Unsound
from bailee.policy.space import Combination, Region


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound policy, and how many combinations each clause decides (action → clause → count)."""

    policy: Policy
    decided: Mapping[str, Mapping[str, int]]

    @property
    def combinations(self) -> int:
        """How many combinations there are in all."""
        return sum(sum(counts.values()) for counts in self.decided.values())


def check(document: bytes, file: str | PurePath) -> Checked:
    """Prove a document and decide every combination of facts by it.

    Raises:
        Unsound: the document is malformed or not sound.
    """
    policy = from_bytes(document, file)
    wrong = [*problems(policy.document)]
    if wrong:
        raise Unsound(wrong)
    decided: dict[str, dict[str, int]] = {}
    for action in ACTIONS:
        counts: dict[str, int] = {}
        space = policy.document.spaces[action]
        held = {
            one: space.where(one.fact, one.values)
            for clause in policy.document.clauses[action]
            for one in clause.when
        }
        left = space.everything
        proved = {reach.clause.id: reach.decides for reach in reaches(policy.document, action)}
        while left:
            clause, way = _one_way(policy, action, left, held)
            if way - proved[clause]:
                raise AssertionError(f"{clause} decided what another clause should have")
            taken = way & left
            counts[clause] = counts.get(clause, 0) + taken.count
            left = left - taken
        decided[action] = {clause: counts.get(clause, 0) for clause in proved}
    return Checked(policy, decided)


def _one_way(
    policy: Policy, action: str, left: Region, held: Mapping[Condition, Region]
) -> tuple[str, Region]:
    """The clause that decides the first of these combinations, and all that go the same way to it,
    each of their facts' values having been decided. `held`: where each condition holds.
    """
    space = policy.document.spaces[action]
    found = policy.explain(action, facts_of(action, space.first(left)))
    way = space.everything
    for one in found.passed_over:
        for condition in one.clause.when:
            if condition.fact == one.fact:
                way = way - held[condition]
                break
            way = way & held[condition]
    for condition in found.clause.when:
        way = way & held[condition]
    (box,) = way.boxes
    values = space.values_of(box)
    usual = {fact: those[0] for fact, those in values.items()}
    for fact, those in values.items():
        for value in those:
            decision = policy.decide(action, facts_of(action, {**usual, fact: value}))
            if decision != found.decision:
                raise AssertionError(f"{found.clause.id} decides by a fact that it does not read")
    return found.clause.id, way


def facts_of(action: str, combination: Combination) -> dict[str, object]:
    """A combination as the facts that `Policy.decide` takes: switches go into `env`."""
    known = ACTIONS[action]
    facts: dict[str, object] = {
        name: combination[name] for name in (*known.facts, *known.optional) if name in combination
    }
    if known.env:
        facts["env"] = {
            name: "1" if state == "set" else ""
            for name, state in combination.items()
            if name not in facts and state != "absent"
        }
    return facts
