"""All combinations of an action's facts, as sets that can be computed with.

A set of combinations is a few boxes that share no combination. A box has, for each fact, some of
its values, as one bit for each: it holds every combination of those. "And" of two boxes is one
box; a box without another is at most one box for each fact. So a set of many millions takes the
room of the clauses that made it, a fact that no clause reads costs nothing, and nothing is
sampled: each operation is on all combinations.

Combinations are in order: the first fact is the most significant, its first value comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from operator import and_
from typing import Final, TypeAlias

from bailee.errors import InputError
from bailee.records import dataclass

Value = str | bool
Combination = dict[str, Value]
Box: TypeAlias = tuple[int, ...]
"""For each fact in order its values, the first value being the lowest bit. No fact has none."""

MOST_BOXES: Final = 2_000
"""A set of more is refused: clauses that need so many can't be read by anybody either."""


class TooIntricate(InputError):
    """A set that takes more boxes than `MOST_BOXES`."""

    default_code = "policy_document"


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A set of combinations of one space. Never changes. `boxes` share no combination."""

    boxes: tuple[Box, ...]

    @property
    def count(self) -> int:
        """How many combinations there are in it."""
        return sum(prod(map(int.bit_count, box)) for box in self.boxes)

    def __bool__(self) -> bool:
        return bool(self.boxes)

    def __eq__(self, other: object) -> bool:
        """Whether they hold the same combinations, in whatever boxes."""
        if not isinstance(other, Region):
            return NotImplemented
        return self.count == other.count and not self - other

    __hash__ = None  # type: ignore[assignment]  # the same set can be cut in many ways

    def __and__(self, other: Region) -> Region:
        found = []
        for one in self.boxes:
            for two in other.boxes:
                both = tuple(map(and_, one, two))
                if 0 not in both:
                    found.append(both)
        return _region(found)

    def __sub__(self, other: Region) -> Region:
        left = list(self.boxes)
        for cut in other.boxes:
            rest: list[Box] = []
            for box in left:
                _cut(box, cut, rest)
            left = rest
            if not left:
                break
            if len(left) > MOST_BOXES:
                break  # which `_region` refuses
        return _region(left)

    def __or__(self, other: Region) -> Region:
        return _region([*self.boxes, *(other - self).boxes])

    def __xor__(self, other: Region) -> Region:
        return _region([*(self - other).boxes, *(other - self).boxes])


@dataclass(frozen=True, slots=True)
class Space:
    """`domains`: each fact's values, in order. `derived`: facts that follow from another, as
    fact → (the other fact, value → the other's values).
    """

    domains: Mapping[str, Sequence[Value]]
    derived: Mapping[str, tuple[str, Mapping[str, Sequence[Value]]]]

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return prod(map(len, self.domains.values()))

    @property
    def everything(self) -> Region:
        """The set of all combinations."""
        return self._box({})

    def values(self, fact: str) -> Sequence[Value] | None:
        """The values that `fact` can have here; None when this space has no such fact."""
        if fact in self.derived:
            return tuple(self.derived[fact][1])
        return self.domains.get(fact)

    def where(self, fact: str, wanted: Sequence[Value]) -> Region:
        """The set of combinations in which `fact` has one of the `wanted` values."""
        return self.matching([(fact, wanted)])

    def matching(self, conditions: Sequence[tuple[str, Sequence[Value]]]) -> Region:
        """The set of combinations that meet all `conditions`; none given: all of them."""
        masks: dict[str, int] = {}
        for named, wanted in conditions:
            fact, values = named, wanted
            if named in self.derived:
                fact, members = self.derived[named]
                values = [one for value in wanted for one in members[str(value)]]
            mask = sum(1 << at for at, value in enumerate(self.domains[fact]) if value in values)
            masks[fact] = masks.get(fact, -1) & mask
        return self._box(masks)

    def _box(self, masks: Mapping[str, int]) -> Region:
        """The combinations whose facts have the values of these bits; others can be anything."""
        made = tuple(
            masks.get(fact, -1) & ((1 << len(values)) - 1) for fact, values in self.domains.items()
        )
        return Region(() if 0 in made else (made,))

    def combination(self, number: int) -> Combination:
        """The facts of the combination with this number, in order."""
        digits: Combination = {}
        for name, values in reversed(list(self.domains.items())):
            number, digit = divmod(number, len(values))
            digits[name] = values[digit]
        return {name: digits[name] for name in self.domains}

    def first(self, chosen: Region) -> Combination:
        """The first combination of a set that is not empty."""
        lowest = min(tuple(mask & -mask for mask in box) for box in chosen.boxes)
        return {
            name: values[bit.bit_length() - 1]
            for (name, values), bit in zip(self.domains.items(), lowest, strict=True)
        }

    def each(self, chosen: Region) -> Iterator[Combination]:
        """Every combination of a set, box by box. What it takes grows with the set alone."""
        for box in chosen.boxes:
            for values in product(*self.values_of(box).values()):
                yield dict(zip(self.domains, values, strict=True))

    def boxes(self, chosen: Region) -> Iterator[tuple[Combination, dict[str, tuple[Value, ...]]]]:
        """Cover a set by few boxes: for each, one combination of it and every fact's values in
        it. A box holds all combinations of its facts' values; boxes together are the set.
        """
        left = chosen
        while left:
            seed = self.first(left)
            box: dict[str, tuple[Value, ...]] = {name: (value,) for name, value in seed.items()}
            for name, domain in self.domains.items():
                box[name] = tuple(
                    value
                    for value in domain
                    if not self.matching(list({**box, name: (value,)}.items())) - chosen
                )
            yield seed, box
            left = left - self.matching(list(box.items()))

    def values_of(self, box: Box) -> dict[str, tuple[Value, ...]]:
        """Every fact's values in a box."""
        return {
            name: tuple(value for at, value in enumerate(values) if mask >> at & 1)
            for (name, values), mask in zip(self.domains.items(), box, strict=True)
        }


def _cut(box: Box, cut: Box, rest: list[Box]) -> None:
    """Add to `rest` what of `box` is not in `cut`: at most one box for each fact."""
    both = tuple(map(and_, box, cut))
    if 0 in both:
        rest.append(box)
        return
    head: tuple[int, ...] = ()
    for at, mask in enumerate(box):
        outside = mask & ~both[at]
        if outside:
            rest.append((*head, outside, *box[at + 1 :]))
        head = (*head, both[at])


def _region(boxes: list[Box]) -> Region:
    if len(boxes) > MOST_BOXES:
        raise TooIntricate(
            "The clauses are too intricate to be proved: what is left of all combinations "
            f"takes more than {MOST_BOXES} boxes.",
            hint="let clauses read fewer facts each, or list clauses that stand alone",
        )
    return Region(tuple(boxes))
