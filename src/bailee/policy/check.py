"""`check`: a document proved by sets, then decided combination by combination.

The proof computes with sets of combinations; the decisions that the software takes go another way,
clause by clause and through a table. Here both are run over every combination and must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from bailee.policy.actions import ACTIONS
from bailee.policy.loading import from_bytes
from bailee.policy.policy import Policy
from bailee.policy.proof import reaches
from bailee.policy.space import Combination


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
    decided: dict[str, dict[str, int]] = {}
    for action in ACTIONS:
        space = policy.document.spaces[action]
        counts: dict[str, int] = {}
        for reach in reaches(policy.document, action):
            count = 0
            for combination in space.each(reach.decides):
                decision = policy.decide(action, facts_of(action, combination))
                if decision.clause != reach.clause.id:
                    raise AssertionError(
                        f"{decision.clause} decided what {reach.clause.id} should have"
                    )
                count += 1
            counts[reach.clause.id] = count
        decided[action] = counts
    return Checked(policy, decided)


def facts_of(action: str, combination: Combination) -> dict[str, object]:
    """A combination as the facts that `Policy.decide` takes: switches go into `env`."""
    known = ACTIONS[action]
    facts: dict[str, object] = {name: combination[name] for name in known.facts}
    if known.env:
        facts["env"] = {
            name: "1" if state == "set" else ""
            for name, state in combination.items()
            if name not in facts and state != "absent"
        }
    return facts
