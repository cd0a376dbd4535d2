"""All combinations of an action's facts, as sets that can be computed with.

A combination has a number: its facts' values are the digits of a mixed-radix numeral, the first
fact being the most significant. A set of combinations is an integer with one bit for each. So
"every combination on the Team plan" is one integer, "and" is `&`, and whether a clause is shadowed
by earlier ones is one comparison. Nothing is sampled: each operation is on all combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Value = str | bool
Combination = dict[str, Value]


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
        size = 1
        for values in self.domains.values():
            size *= len(values)
        return size

    @property
    def everything(self) -> int:
        """The set of all combinations."""
        return (1 << self.size) - 1

    def values(self, fact: str) -> Sequence[Value] | None:
        """The values that `fact` can have here; None when this space has no such fact."""
        if fact in self.derived:
            return tuple(self.derived[fact][1])
        return self.domains.get(fact)

    def where(self, fact: str, wanted: Sequence[Value]) -> int:
        """The set of combinations in which `fact` has one of the `wanted` values."""
        if fact in self.derived:
            base, members = self.derived[fact]
            return self.where(base, [one for value in wanted for one in members[str(value)]])
        width = self.size
        if not width:
            return 0
        for name, values in self.domains.items():
            width //= len(values)
            if name == fact:
                break
        domain = self.domains[fact]
        block = (1 << width) - 1
        pattern = 0
        for index, value in enumerate(domain):
            if value in wanted:
                pattern |= block << (width * index)
        period = width * len(domain)
        return _repeated(pattern, period, self.size // period)

    def matching(self, conditions: Sequence[tuple[str, Sequence[Value]]]) -> int:
        """The set of combinations that meet all `conditions`; none given: all of them."""
        found = self.everything
        for fact, wanted in conditions:
            found &= self.where(fact, wanted)
        return found

    def combination(self, number: int) -> Combination:
        """The facts of the combination with this number."""
        digits: Combination = {}
        for name, values in reversed(list(self.domains.items())):
            number, digit = divmod(number, len(values))
            digits[name] = values[digit]
        return {name: digits[name] for name in self.domains}

    def first(self, chosen: int) -> Combination:
        """The first combination of a set that is not empty."""
        return self.combination((chosen & -chosen).bit_length() - 1)

    def each(self, chosen: int) -> Iterator[Combination]:
        """Every combination of a set, in order. What it takes grows with the set alone."""
        for place, byte in enumerate(chosen.to_bytes((chosen.bit_length() + 7) // 8, "little")):
            left = byte
            while left:
                lowest = left & -left
                yield self.combination(place * 8 + lowest.bit_length() - 1)
                left ^= lowest

    def boxes(self, chosen: int) -> Iterator[tuple[Combination, dict[str, tuple[Value, ...]]]]:
        """Cover a set by few boxes: for each, one combination of it and every fact's values in
        it. A box holds all combinations of its facts' values; boxes together are the set.
        """
        left = chosen
        while left:
            seed = self.first(left)
            box: dict[str, tuple[Value, ...]] = {name: (value,) for name, value in seed.items()}
            for name, domain in self.domains.items():
                fits = []
                for value in domain:
                    slab = self.matching(list({**box, name: (value,)}.items()))
                    if slab & ~chosen == 0:
                        fits.append(value)
                box[name] = tuple(fits)
            yield seed, box
            left &= ~self.matching(list(box.items()))


def _repeated(pattern: int, width: int, times: int) -> int:
    """`pattern`, which has `width` bits, so many times side by side: by doubling, since dividing
    and multiplying numbers of such a length takes the square of it.
    """
    made, at = 0, 0
    while times:
        if times & 1:
            made |= pattern << at
            at += width
        times >>= 1
        if times:
            pattern |= pattern << width
            width *= 2
    return made
