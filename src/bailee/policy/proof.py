"""Whether a document decides every combination of facts, once, and keeps what it promises.

Every statement here is about all combinations, computed with the sets of `space`.

Rules kept here: a document is refused for

* a **gap**: a combination that no clause of the action decides;
* a **dead clause**: one that never decides, since earlier ones match all that it matches;
* an **unresolved overlap**: order puts a laxer clause before a stricter one, and the laxer is not
  an exception within it. Order resolves an overlap when the stricter clause comes first, or when
  all that the earlier, laxer clause decides lies inside the later one (an exception to a rule);
* a **broken invariant**, and one that covers no combination at all;
* a **broken flow**: a flow that is not on or off exactly as its defaults and switches say;
* **local transcripts** that the setting, or a person's word, could keep longer than the clauses do;
* **resuming what is gone**: a clause that keeps what goes on with a session that was deleted, or an
  account that was erased. No document brings that back;
* **a residency that does not hold**: a clause that lets who demands a region be answered from
  another one.

Rooms for organisations' own documents are `rooms`'.

Stricter means: an effect listed earlier in `actions`, or for what is kept, a shorter period.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bailee.policy import period as periods
from bailee.policy.actions import ACTIONS
from bailee.policy.document import Clause, Condition, Document, Invariant
from bailee.policy.names import ANYWHERE
from bailee.policy.reading import DocumentProblem
from bailee.policy.space import Combination, Region, Space, TooIntricate
from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class ClauseReach:
    """What a clause matches by itself, and what it decides once earlier ones have had their say:
    sets of combinations of its action's space.
    """

    clause: Clause
    matches: Region
    decides: Region


def reaches(document: Document, action: str) -> list[ClauseReach]:
    """The reach of each clause of an action, in order."""
    space = document.spaces[action]
    left = space.everything
    found = []
    for clause in document.clauses[action]:
        matches = _matching(space, clause.when)
        found.append(ClauseReach(clause, matches, matches & left))
        left = left - matches
    return found


def problems(document: Document) -> Iterator[DocumentProblem]:
    """Everything that keeps a well-formed document from being sound; nothing: it is sound."""
    try:
        yield from _problems(document)
    except TooIntricate as error:
        yield DocumentProblem(document.file, 1, error.message, error.hint)


def _problems(document: Document) -> Iterator[DocumentProblem]:
    reached = {action: reaches(document, action) for action in ACTIONS}
    for action, found in reached.items():
        yield from _order(document, action, found)
    for invariant in document.invariants:
        yield from _invariant(document, invariant, reached[invariant.action])
    yield from _flows(document, reached["send"])
    yield from _local_transcripts(document, reached["retain"])
    yield from _resuming(document, reached["resume"])
    yield from _residing(document, reached["reach"])


def written(combination: Combination, space: Space) -> str:
    """A combination as a person types it: `plan=free, zero_retention=false`. Absent switches are
    left out.
    """
    facts = [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in combination.items()
        if value != "absent" or "absent" not in space.domains[name]
    ]
    return ", ".join(facts)


def _matching(space: Space, conditions: Sequence[Condition]) -> Region:
    return space.matching([(one.fact, one.values) for one in conditions])


def _strictness(clause: Clause) -> tuple[int, int]:
    """Smaller is stricter."""
    if clause.action is None or clause.effect is None:  # a statement is in no order
        return (0, 0)
    days = periods.parse(clause.retention).longest_days if clause.retention else 0
    return (ACTIONS[clause.action].effects.index(clause.effect), days)


def _order(document: Document, action: str, found: list[ClauseReach]) -> Iterator[DocumentProblem]:
    space, file = document.spaces[action], document.file
    left = space.everything
    for reach in found:
        left = left - reach.matches
    if left:
        line = found[-1].clause.line if found else 1
        yield DocumentProblem(
            file,
            line,
            f"No clause of {action} decides {written(space.first(left), space)}; "
            f"{left.count} of {space.size} combinations are left open.",
            "add a clause that decides them",
        )
    for index, later in enumerate(found):
        if not later.decides:
            shadows = [one.clause.id for one in found[:index] if one.matches & later.matches]
            yield DocumentProblem(
                file,
                later.clause.line,
                f"{later.clause.id} never decides: "
                + (
                    f"{', '.join(shadows)} decide all it matches."
                    if shadows
                    else "nothing matches."
                ),
                "move it up, narrow the earlier clauses, or remove it",
            )
            continue
        for earlier in found[:index]:
            contested = earlier.decides & later.matches
            laxer = _strictness(earlier.clause) > _strictness(later.clause)
            if contested and laxer and earlier.decides - later.matches:
                yield DocumentProblem(
                    file,
                    earlier.clause.line,
                    f"{earlier.clause.id} and the stricter {later.clause.id} both match "
                    f"{written(space.first(contested), space)}, and neither is an exception "
                    "to the other.",
                    f"put {later.clause.id} first, or narrow {earlier.clause.id}",
                )


def _invariant(
    document: Document, invariant: Invariant, found: list[ClauseReach]
) -> Iterator[DocumentProblem]:
    space = document.spaces[invariant.action]
    scope = _matching(space, invariant.when)
    if invariant.unless:
        scope = scope - _matching(space, invariant.unless)
    if not scope:
        yield DocumentProblem(
            document.file, invariant.line, f"The invariant {invariant.id} covers no combination."
        )
    for reach in found:
        broken = reach.decides & scope
        if broken and not _keeps(invariant, reach.clause):
            outcome = reach.clause.retention or reach.clause.effect
            yield DocumentProblem(
                document.file,
                reach.clause.line,
                f"{reach.clause.id} breaks the invariant {invariant.id} (line {invariant.line}): "
                f"{outcome} for {written(space.first(broken), space)}; "
                f"{broken.count} combinations.",
                invariant.text.en,
            )
            return


def _keeps(invariant: Invariant, clause: Clause) -> bool:
    if invariant.demand == "never":
        return clause.effect != invariant.value
    if invariant.demand == "always":
        return clause.effect == invariant.value
    if invariant.demand == "exactly":
        return clause.retention == invariant.value
    longest = periods.parse(invariant.value).longest_days
    return clause.retention is not None and (
        periods.parse(clause.retention).longest_days <= longest
    )


def _flows(document: Document, found: list[ClauseReach]) -> Iterator[DocumentProblem]:
    space = document.spaces["send"]
    allowed = Region(())
    for reach in found:
        if reach.clause.effect == "allow":
            allowed = allowed | reach.decides
    selecting = {one.selected_by for one in document.providers.values()}
    for flow in document.flows.values():
        on = [name for name, default in flow.default.items() if default]
        expected = space.where("provider", on)
        # What selects a provider is a part of the default: it can't be undone but by `also_on`.
        for switch in [one for one in flow.switches if one in selecting]:
            expected = expected - space.where(switch, ("set",))
        for conditions in flow.also_on:
            expected = expected | _matching(space, conditions)
        for conditions in flow.also_off:
            expected = expected - _matching(space, conditions)
        expected = expected & space.where("flow", (flow.name,))
        for switch in [one for one in flow.switches if one not in selecting]:
            expected = expected - space.where(switch, ("set",))
        broken = (allowed & space.where("flow", (flow.name,))) ^ expected
        if broken:
            first = space.first(broken)
            is_on = bool(allowed & space.matching([(name, (one,)) for name, one in first.items()]))
            yield DocumentProblem(
                document.file,
                flow.line,
                f"The flow {flow.name} is {'on' if is_on else 'off'} for "
                f"{written(first, space)}, against its defaults and switches.",
                "change the send clauses, or what the flow promises",
            )
        for provider in document.providers.values():
            by = provider.selected_by
            if by is not None and not flow.default[provider.name] and by not in flow.switches:
                yield DocumentProblem(
                    document.file,
                    flow.line,
                    f"The flow {flow.name} is off on {provider.name}, so {by}, which selects it, "
                    "must turn it off.",
                    f"add {by} to its switches",
                )


def _local_transcripts(document: Document, found: list[ClauseReach]) -> Iterator[DocumentProblem]:
    space, local = document.spaces["retain"], document.local_transcripts
    kinds = (
        ("local_transcript", f"{local.setting} can be", local.max_days),
        ("local_transcript_kept", "kept_days is", local.kept_days),
    )
    for kind, said, days in kinds:
        if kind not in space.domains["data_class"]:
            continue
        scope = space.where("data_class", (kind,))
        for reach in found:
            period = reach.clause.retention
            if not reach.decides & scope or period is None:
                continue
            if periods.parse(period).longest_days < days:
                whose = "local transcripts" if kind == "local_transcript" else "them"
                yield DocumentProblem(
                    document.file,
                    local.line,
                    f"{said} {days} days, but {reach.clause.id} keeps {whose} {period}.",
                )


def _resuming(document: Document, found: list[ClauseReach]) -> Iterator[DocumentProblem]:
    space = document.spaces["resume"]
    gone = space.where("session_deleted", (True,)) | space.where("account_erased", (True,))
    for reach in found:
        if reach.decides & gone and reach.clause.effect != "drop":
            yield DocumentProblem(
                document.file,
                reach.clause.line,
                f"{reach.clause.id} keeps what goes on with what is gone: "
                f"{written(space.first(reach.decides & gone), space)}.",
                "what was deleted or erased stays so: drop it",
            )


def _residing(document: Document, found: list[ClauseReach]) -> Iterator[DocumentProblem]:
    space = document.spaces["reach"]
    for demanded in space.domains.get("residency", ()):
        if demanded == ANYWHERE:
            continue
        scope = space.where("residency", (demanded,)) - space.where("region", (demanded,))
        for reach in found:
            broken = reach.decides & scope
            if broken and reach.clause.effect == "allow":
                yield DocumentProblem(
                    document.file,
                    reach.clause.line,
                    f"{reach.clause.id} lets who demands {demanded} be answered from elsewhere: "
                    f"{written(space.first(broken), space)}.",
                    f"deny what has residency {demanded} and another region, before it",
                )
