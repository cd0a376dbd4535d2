"""A session in the order in which a person reads it: messages, and what branched off between. Pure.

Every view goes through here, so that each has the same in the same place. What is deeper within one
another than `DEEPEST` is told after what it is in: no page and no terminal nests without end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from bailee.blocks import Spoken, spoken

DEEPEST: Final = 8
UNANSWERED: Final = ("failed", "other")
"""Kinds of branches that may have no answer: how their exchange ended is told."""


class Folded(Protocol):
    """What is asked of a branch (`vault.branches.Branch`), whoever has it."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def of(self) -> int | None: ...  # noqa: D102
    @property
    def at(self) -> int: ...  # noqa: D102
    @property
    def messages(self) -> Sequence[object]: ...  # noqa: D102


B = TypeVar("B", bound=Folded)


@dataclass(frozen=True, slots=True)
class Begins(Generic[B]):
    """A branch begins; what follows is in it."""

    branch: B


@dataclass(frozen=True, slots=True)
class Ends(Generic[B]):
    """The branch that began last and has not ended ends."""

    branch: B


@dataclass(frozen=True, slots=True)
class Another:
    """Another conversation of the main ones begins."""


Told: TypeAlias = "Spoken | Begins[B] | Ends[B] | Another"


@dataclass(slots=True)
class _Reading(Generic[B]):
    branch: B | None
    said: list[Spoken]
    place: int = 0
    waiting: dict[int, deque[B]] = field(default_factory=dict)


def unfolded(
    messages: Sequence[object],
    branches: Iterable[B],
    begins: Collection[int] = (),
) -> Iterator[Told[B]]:
    """All of a session. `messages`, `begins`: as in `vault.transcript.Transcript`."""
    placed: dict[int | None, dict[int, deque[B]]] = {}
    for one in branches:
        placed.setdefault(one.of, {}).setdefault(one.at, deque()).append(one)
    reading = [_Reading[B](None, spoken(messages), 0, placed.pop(None, {}))]
    too_deep: deque[B] = deque()
    starts = frozenset(begins)
    while reading:
        now = reading[-1]
        branch = _next(now, too_deep if len(reading) == 1 else None)
        if branch is not None and len(reading) > DEEPEST:
            too_deep.append(branch)
        elif branch is not None:
            yield Begins(branch)
            said = spoken(branch.messages)
            reading.append(_Reading(branch, said, 0, placed.pop(branch.number, {})))
        elif now.place < len(now.said):
            if now.branch is None and now.place in starts:
                yield Another()
            yield now.said[now.place]
            now.place += 1
        else:
            reading.pop()
            if now.branch is not None:
                yield Ends(now.branch)


def _next(reading: _Reading[B], too_deep: deque[B] | None) -> B | None:
    """The branch that is to be told next, before the message at the place."""
    if too_deep:
        return too_deep.popleft()
    here = reading.waiting.get(reading.place)
    return here.popleft() if here else None
