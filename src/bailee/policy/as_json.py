"""Decisions, explanations, differences, clauses and problems as JSON values.

What the command line prints with `--json` and answers in a batch: a format that others rely on.
"""

from __future__ import annotations

from bailee.errors import BaileeError
from bailee.policy.bounds import setting_of
from bailee.policy.diff import Difference
from bailee.policy.document import (
    Clause,
    Document,
    Language,
    NetworkDemand,
    OutageMinutes,
    SettingBound,
)
from bailee.policy.policy import Decision, Explanation
from bailee.policy.reading import Unsound
from bailee.policy.wording import sentence, why_not


def decision_as_json(decision: Decision) -> dict[str, object]:
    """A decision as JSON values; `retention` is there only for what is kept."""
    answer: dict[str, object] = {"effect": decision.effect}
    if decision.retention is not None:
        answer["retention"] = decision.retention
    return {**answer, "clause": decision.clause, "document": decision.document}


def error_as_json(error: BaileeError, line: int) -> dict[str, object]:
    """An error as JSON values, with the line (from 1) it is about."""
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    return {"error": told, "line": line}


def explanation_as_json(
    document: Document, found: Explanation, language: Language
) -> dict[str, object]:
    """An explanation: the sentence, the decision, the clause, and those passed over."""
    return {
        "sentence": sentence(document, found, language),
        "action": found.action,
        "facts": found.facts,
        **decision_as_json(found.decision),
        "text": found.clause.text.of(language),
        "rows": found.clause.rows,
        "line": found.clause.line,
        "passed_over": [
            {
                "clause": one.clause.id,
                "fact": one.fact,
                "wanted": one.wanted,
                "actual": one.actual,
                "why": why_not(document, one, language),
            }
            for one in found.passed_over
        ],
    }


def difference_as_json(old: Document, new: Document, found: Difference) -> dict[str, object]:
    """A difference; `who` names facts and values, and a fact not named can be anything."""
    return {
        "from": old.sha256,
        "to": new.sha256,
        "changes": [
            {
                "action": one.action,
                "before": {"effect": one.before[0], "retention": one.before[1]},
                "after": {"effect": one.after[0], "retention": one.after[1]},
                "who": one.who,
                "combinations": one.combinations,
            }
            for one in found.changes
        ],
        "moved": [
            {"action": action, "before": before, "after": after, "combinations": count}
            for action, before, after, count in found.moved
        ],
        "added": found.added,
        "removed": found.removed,
        "settings": [
            {"name": name, "before": before, "after": after}
            for name, before, after in found.settings
        ],
        "clauses_added": found.clauses_added,
        "clauses_removed": found.clauses_removed,
        "clauses_reworded": found.clauses_reworded,
    }


def problems_as_json(unsound: Unsound) -> dict[str, object]:
    """Why a document is refused."""
    problems = [
        {"file": one.file, "line": one.line, "reason": one.reason, "hint": one.hint}
        for one in unsound.problems
    ]
    return {"sound": False, "problems": problems}


def demand_as_json(demand: NetworkDemand) -> dict[str, object]:
    """A demand of what cloud sessions reach, by its clause's id."""
    return {"clause": demand.clause.id, "at_most": demand.level, "deny": demand.hosts}


def outage_as_json(outage: OutageMinutes | None) -> dict[str, int] | None:
    """For how long requests go on without a database; None: no end is said."""
    if outage is None:
        return None
    return {"kept": outage.kept, "unkept": outage.unkept, "gateways": outage.gateways}


def bound_as_json(bound: SettingBound) -> dict[str, object]:
    """How far a setting may go, by its clause's id."""
    return {
        "clause": bound.clause.id,
        "of": bound.of,
        "setting": setting_of(bound.of),
        "at_most": bound.at_most,
        "only": bound.only,
        "deny": bound.deny,
    }


def clause_as_json(clause: Clause) -> dict[str, object]:
    """A clause with all it has."""
    return {
        "id": clause.id,
        "action": clause.action,
        "heading": clause.heading,
        "rows": clause.rows,
        "when": {one.fact: one.values for one in clause.when},
        "effect": clause.effect,
        "retention": clause.retention,
        "line": clause.line,
        "en": clause.text.en,
        "zh": clause.text.zh,
    }
