"""How far a document lets organisations' own go beyond its clauses, and if that is sound. Pure.

A room (`[[room]]`) lets an organisation have something kept longer than the clauses do, and nothing
else. Rules kept here: a document is refused for a room that is open

* for what is **no organisation's** to decide;
* for what its clauses have **kept not at all**: nothing comes to be kept by an organisation's word;
* for longer than an **invariant** has it. One that says exactly how long is an upper bound here.

Rows: P1, P2.
"""

from __future__ import annotations

from collections.abc import Iterator

from bailee.policy import period as periods
from bailee.policy.actions import OWN_CLASSES
from bailee.policy.document import Document, Invariant, RetentionRoom
from bailee.policy.proof import ClauseReach, reaches, written
from bailee.policy.reading import DocumentProblem
from bailee.policy.space import Region, Space, TooIntricate


def problems(document: Document) -> Iterator[DocumentProblem]:
    """Why the rooms of a document are not sound; nothing: they are, or it has none."""
    if not document.rooms:
        return
    try:
        found = reaches(document, "retain")
        for room in document.rooms:
            yield from _room(document, room, found)
    except TooIntricate as error:
        yield DocumentProblem(document.file, 1, error.message, error.hint)


def opened(room: RetentionRoom, space: Space) -> Region:
    """The combinations for which a room is open."""
    return space.matching([(one.fact, one.values) for one in room.when])


def covered(invariant: Invariant, space: Space) -> Region:
    """The combinations that an invariant is about."""
    found = space.matching([(one.fact, one.values) for one in invariant.when])
    if invariant.unless:
        found = found - space.matching([(one.fact, one.values) for one in invariant.unless])
    return found


def decidable(space: Space) -> Region:
    """The combinations about what an organisation's own document can have kept otherwise."""
    known = space.values("data_class") or ()
    return space.where("data_class", [one for one in OWN_CLASSES if one in known])


def _room(
    document: Document, room: RetentionRoom, found: list[ClauseReach]
) -> Iterator[DocumentProblem]:
    space, name = document.spaces["retain"], room.clause.id

    def wrong(reason: str, hint: str) -> DocumentProblem:
        return DocumentProblem(document.file, room.clause.line, reason, hint)

    where = opened(room, space)
    if not where:
        yield wrong(f"The room {name} is open for nothing.", "change its `when`, or remove it")
    if others := where - decidable(space):
        what = space.first(others)["data_class"]
        yield wrong(
            f"The room {name} is open for {what}, which is not an organisation's to decide.",
            f"name what it is for: data_class = one of {', '.join(OWN_CLASSES)}",
        )
        return
    for reach in found:
        nothing = reach.clause.retention and not periods.parse(reach.clause.retention).count
        if nothing and (both := where & reach.decides):
            yield wrong(
                f"The room {name} is open for what {reach.clause.id} has not kept at all: "
                f"{written(space.first(both), space)}.",
                "narrow its `when`",
            )
    longest = periods.parse(room.at_most).longest_days
    for invariant in document.invariants:
        if invariant.action != "retain" or longest <= periods.parse(invariant.value).longest_days:
            continue
        if both := where & covered(invariant, space):
            yield wrong(
                f"The room {name} breaks the invariant {invariant.id} (line {invariant.line}): "
                f"{room.at_most} for {written(space.first(both), space)}.",
                invariant.text.en,
            )
