"""What a new version of the document changes, and for whom.

Two documents are compared over the facts that both know: every combination whose result differs is
found, and the combinations are gathered into few groups. Values that only one of them knows, and
what is not decided per combination (dates, settings, texts), are listed beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bailee.policy.actions import ACTIONS, SWITCH_STATES
from bailee.policy.document import Document, Language
from bailee.policy.space import Region, Space, Value
from bailee.policy.wording import facts_in_words, outcome_in_words

Outcome = tuple[str, str | None]
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Change:
    """A group of combinations whose result changes. `who`: each fact that narrows the group, with
    its values; a fact that is not named can be anything. Outcomes are (effect, retention).
    """

    action: str
    before: Outcome
    after: Outcome
    who: Mapping[str, tuple[Value, ...]]
    combinations: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs. `moved`: combinations with the same result by another clause, as
    (action, clause before, clause after, how many). `settings`: (name, before, after).
    The names in `added` and `removed` are "plan edu" and the like; those in `clauses_*` ids.
    """

    changes: tuple[Change, ...]
    moved: tuple[tuple[str, str, str, int], ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    clauses_added: tuple[str, ...]
    clauses_removed: tuple[str, ...]
    clauses_reworded: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the documents mean and say the same."""
        return not any(getattr(self, name) for name in self.__slots__)


def compare(old: Document, new: Document) -> Difference:
    """What `new` changes against `old`."""
    changes: list[Change] = []
    moved: list[tuple[str, str, str, int]] = []
    for action in ACTIONS:
        space = _shared(old, new, action)
        before, after = _decides(old, action, space), _decides(new, action, space)
        groups: dict[tuple[Outcome, Outcome], Region] = {}
        for was, was_set, was_by in before:
            for now, now_set, now_by in after:
                both = was_set & now_set
                if both and was != now:
                    groups[was, now] = groups[was, now] | both if (was, now) in groups else both
                elif both and was_by != now_by:
                    moved.append((action, was_by, now_by, both.count))
        for (was, now), changed in groups.items():
            left = changed
            for _, box in space.boxes(changed):
                inside = space.matching(list(box.items()))
                who = {
                    fact: values
                    for fact, values in box.items()
                    if len(values) < len(space.domains[fact])
                }
                changes.append(Change(action, was, now, who, (inside & left).count))
                left = left - inside
    was_values, is_values = set(_values(old)), set(_values(new))
    was_texts = {one.id: one.text for one in old.every_clause}
    is_texts = {one.id: one.text for one in new.every_clause}
    return Difference(
        changes=tuple(changes),
        moved=tuple(moved),
        added=tuple(one for one in _values(new) if one not in was_values),
        removed=tuple(one for one in _values(old) if one not in is_values),
        settings=tuple(_settings(old, new)),
        clauses_added=tuple(one for one in is_texts if one not in was_texts),
        clauses_removed=tuple(one for one in was_texts if one not in is_texts),
        clauses_reworded=tuple(
            one for one in is_texts if one in was_texts and was_texts[one] != is_texts[one]
        ),
    )


def who_in_words(change: Change, document: Document, language: Language) -> str:
    """For whom a group of combinations changes: "consumer plans, training refused"."""
    return facts_in_words(change.who, document, language)


def change_in_words(change: Change, language: Language) -> tuple[str, str]:
    """The results before and after, in words."""
    return (
        outcome_in_words(*change.before, language),
        outcome_in_words(*change.after, language),
    )


def _shared(old: Document, new: Document, action: str) -> Space:
    """The combinations that both documents know. A fact that only one of them reads says nothing to
    the other, whatever its value; a switch that only one has is absent.
    """
    ours, theirs = old.spaces[action].domains, new.spaces[action].domains
    domains: dict[str, tuple[Value, ...]] = {}
    for fact in (*ours, *(one for one in theirs if one not in ours)):
        if fact in ours and fact in theirs:
            domains[fact] = tuple(value for value in ours[fact] if value in theirs[fact])
        elif fact in ACTIONS[action].optional:
            domains[fact] = tuple(ours.get(fact) or theirs[fact])
    return Space(domains, {})


def _decides(document: Document, action: str, space: Space) -> list[tuple[Outcome, Region, str]]:
    """(outcome, what it decides, clause id) of each clause, within `space`."""
    own = document.spaces[action]
    left = space.everything
    found = []
    for clause in document.clauses[action]:
        matches = space.everything
        for condition in clause.when:
            fact, values = condition.fact, condition.values
            if fact in own.derived:
                fact, members = own.derived[fact]
                values = tuple(one for value in values for one in members[str(value)])
            if fact in space.domains:
                matches = matches & space.where(fact, values)
            elif SWITCH_STATES[0] not in values:  # a switch that the other does not know
                matches = Region(())
        assert clause.effect is not None
        found.append(((clause.effect, clause.retention), matches & left, clause.id))
        left = left - matches
    return found


def _values(document: Document) -> Iterator[str]:
    for fact, labels in document.labels.items():
        for value in labels:
            yield f"{fact} {value}"
    for switch in document.switches:
        yield f"switch {switch}"


def _settings(old: Document, new: Document) -> Iterator[tuple[str, str, str]]:
    for name in (
        "version",
        "effective",
        "choice_from",
        "decide_by",
        "on_recorder_failure",
        "on_limits_unknown",
    ):
        before, after = str(getattr(old, name)), str(getattr(new, name))
        if before != after:
            yield name, before, after
    for name in ("prefers", "sign_up", "cloud_opens"):
        was, now = ", ".join(getattr(old, name)), ", ".join(getattr(new, name))
        if was != now:
            yield name, was or _NONE, now or _NONE
    held, holds = (str(one.without_database or _NONE) for one in (old, new))
    if held != holds:
        yield "without_database", held, holds
    told, tells = _limits(old), _limits(new)
    for name in {**told, **tells}:
        if told.get(name) != tells.get(name):
            yield name, told.get(name, _NONE), tells.get(name, _NONE)
    for name in ("setting", "default_days", "max_days", "kept_days"):
        before = str(getattr(old.local_transcripts, name))
        after = str(getattr(new.local_transcripts, name))
        if before != after:
            yield f"local_transcripts.{name}", before, after
    for part in ("survey", "feedback"):
        if getattr(old, part) != getattr(new, part):
            yield part, str(getattr(old, part)), str(getattr(new, part))
    for plan in old.plans.values():
        if plan.name in new.plans and new.plans[plan.name].segment != plan.segment:
            yield f"plans.{plan.name}.segment", plan.segment, new.plans[plan.name].segment


def _limits(document: Document) -> dict[str, str]:
    """What statements that hold for more than they say in words are about: by name, in short."""
    found: dict[str, str] = {}
    for room in document.rooms:
        when = ", ".join(f"{one.fact} {'/'.join(map(str, one.values))}" for one in room.when)
        found[f"room {room.clause.id}"] = f"{room.at_most} ({when})"
    for demand in document.network:
        never = f", {', '.join(demand.hosts)} denied" if demand.hosts else ""
        found[f"network {demand.clause.id}"] = f"at most {demand.level or 'full'}{never}"
    for fact in ("routes", "models", "regions"):
        for name, begins in getattr(document, fact).items():
            found[f"{fact}.{name}.begins"] = ", ".join(begins) or _NONE
    for bound in document.bounds:
        longest = None if bound.at_most is None else f"at most {bound.at_most}"
        only = longest or ", ".join(bound.only or ()) or ("any" if bound.deny else "nowhere")
        never = f", {', '.join(bound.deny)} denied" if bound.deny else ""
        found[f"bound of {bound.of}"] = only + never
    return found
