"""What each answer to the question about training would mean, in the policy's own words. Pure.

Rows: T2, T3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailee.policy.document import Language
from bailee.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a choice means: the clauses that would decide, in their own words."""

    choice: str
    training: str
    retention: str
    clauses: tuple[str, ...]


def notice(
    policy: Policy,
    plan: str,
    language: Language,
    choices: Sequence[str] = ("allowed", "refused"),
) -> list[Consequence]:
    """What each choice would mean on a plan, in the words of the clauses that would decide.

    Raises:
        InputError: an unknown plan or choice.
    """
    found = []
    for choice in choices:
        facts = {
            "data_class": "transcript",
            "plan": plan,
            "channel": "api",
            "training_choice": choice,
            "zero_retention": False,
            "partner_programme": False,
        }
        trained = policy.explain("train", {**facts, "active_since_choice": True}).clause
        kept = policy.explain("retain", facts).clause
        found.append(
            Consequence(
                choice, trained.text.of(language), kept.text.of(language), (trained.id, kept.id)
            )
        )
    return found
