"""Whether an organisation's document only narrows the operator's, over all combinations. Pure.

What is looked for, with the sets of `space`:

* a clause that is **laxer** somewhere than the clause of the operator's that decides there, unless
  a room of their document is open for all of it;
* a clause that breaks an **invariant** of theirs. What is stricter keeps those that say what is
  never to be, or at most. Those that say what always is, and for exactly how long, are said of the
  operator's own clauses, and bind an organisation's as an upper bound;
* a clause about **what is no organisation's**: data that is nobody's, or by which is counted;
* a bound whose text **says another number** than the bound has, or none.

Rows: P1, P2.
"""

from __future__ import annotations

from collections.abc import Iterator

from bailee.policy import amounts
from bailee.policy import period as periods
from bailee.policy.actions import OWN_CLASSES
from bailee.policy.document import Clause, Document, Invariant
from bailee.policy.own import OwnDocument
from bailee.policy.proof import ClauseReach, reaches, written
from bailee.policy.reading import DocumentProblem, Unsound
from bailee.policy.rooms import covered, decidable, opened
from bailee.policy.space import Region, Space, TooIntricate


def problems(own: OwnDocument, under: Document, file: str) -> Iterator[DocumentProblem]:
    """Everything that keeps a document from standing beside the operator's; nothing: it can."""
    try:
        for action, clauses in own.clauses.items():
            found = reaches(under, action)
            for one in clauses:
                yield from _clause(one.clause, under, found, file)
    except TooIntricate as error:
        yield DocumentProblem(file, 1, error.message, error.hint)
    yield from amounts.own_problems(own.bounds, file)


def prove(own: OwnDocument, under: Document, file: str) -> None:
    """Go on only if an organisation's document narrows the operator's. Raises `Unsound`."""
    if found := list(problems(own, under, file)):
        raise Unsound(found)


def _clause(
    clause: Clause, under: Document, found: list[ClauseReach], file: str
) -> Iterator[DocumentProblem]:
    space = under.spaces[str(clause.action)]
    matches = space.matching([(one.fact, one.values) for one in clause.when])
    if not matches:
        yield DocumentProblem(file, clause.line, f"{clause.id} is about nothing that there can be.")
        return
    if clause.retention is not None:
        if others := matches - decidable(space):
            what = space.first(others)["data_class"]
            yield DocumentProblem(
                file,
                clause.line,
                f"{clause.id} is about {what}, which is not an organisation's to decide.",
                f"name what it is about: data_class = one of {', '.join(OWN_CLASSES)}",
            )
            return
        room = _room_for(clause, under, space)
        for invariant in under.invariants:
            yield from _invariant(clause, invariant, matches & room, space, file)
    else:
        room = Region(())
    for reach in found:
        laxer = (matches & reach.decides) - room
        if laxer and _is_laxer(clause, reach.clause):
            has = clause.retention or clause.effect
            theirs = reach.clause.retention or reach.clause.effect
            yield DocumentProblem(
                file,
                clause.line,
                f"{clause.id} has {has} where the operator's {reach.clause.id} has {theirs}: for "
                f"{written(space.first(laxer), space)}; {laxer.count:,} combinations.",
                f"narrow its `when`; {reach.clause.id} is about {_about(reach.clause)}",
            )


def _room_for(clause: Clause, under: Document, space: Space) -> Region:
    """Where the operator's document lets an organisation have this kept."""
    days = periods.parse(str(clause.retention)).count
    found = Region(())
    for room in under.rooms:
        if periods.never_longer(days, room.at_most):
            found = found | opened(room, space)
    return found


def _is_laxer(clause: Clause, theirs: Clause) -> bool:
    if clause.retention is None or theirs.retention is None:
        return clause.effect != theirs.effect and clause.effect == "allow"
    return not periods.never_longer(periods.parse(clause.retention).count, theirs.retention)


def _invariant(
    clause: Clause, invariant: Invariant, scope: Region, space: Space, file: str
) -> Iterator[DocumentProblem]:
    """Of what a room opens: whether an invariant has it kept less long."""
    if invariant.action != "retain":
        return
    where = scope & covered(invariant, space)
    days = periods.parse(str(clause.retention)).count
    if where and not periods.never_longer(days, invariant.value):
        yield DocumentProblem(
            file,
            clause.line,
            f"{clause.id} breaks the operator's invariant {invariant.id}: {clause.retention} for "
            f"{written(space.first(where), space)}; {where.count:,} combinations.",
            invariant.text.en,
        )


def _about(clause: Clause) -> str:
    said = [
        f"{one.fact} = {' | '.join(str(value).lower() for value in one.values)}"
        for one in clause.when
    ]
    return "; ".join(said) or "everything"
