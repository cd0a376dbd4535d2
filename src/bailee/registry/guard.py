"""The schema guard: what of a payload may be kept. Pure.

Rules kept here:

* Default-deny: a measure or field that is not declared (or whose declaration has expired) is
  dropped, and so is a declared one with a value that is not of its kind. Lists and maps are
  dropped whole, unread.
* Nothing that is dropped leaves a trace but a count: under the field's declared name, under its
  name when the registry lists it as refused, else under "other", since a name can carry content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from bailee.registry.registry import Field, Measure, Registry
from bailee.registry.values import OTHER, Value

UNDECLARED: Final = "undeclared"
REFUSED: Final = "refused"
WRONG_VALUE: Final = "wrong value"
TOO_MANY: Final = "too many"
MOST_ATTRIBUTES: Final = 128


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped, by a name that is safe to show, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Refusals:
    """Counts of what was dropped from one payload."""

    counts: Counter[Dropped] = field(default_factory=Counter)

    def add(self, name: str, reason: str, times: int = 1) -> None:
        """`name` must be one of the registry's own, or "other"."""
        if times > 0:
            self.counts[Dropped(name, reason)] += times


class Guard:
    """Holds payloads to a registry, as it stands on one day.

    Whoever takes payloads makes one and another when the day changes. It is never changed, and may
    be asked from any thread; what it counts is the caller's (`Refusals`). It keeps nothing of what
    it lets through or drops.
    """

    def __init__(self, registry: Registry, today: date) -> None:
        self.registry: Final = registry
        self.today: Final = today
        self._fields: Final = {
            name: found for name, found in registry.by_any_name.items() if found.expires > today
        }
        self._measures: Final = {
            name: found for name, found in registry.measures.items() if found.expires > today
        }

    def measure(self, name: object, kinds: tuple[str, ...], refusals: Refusals) -> Measure | None:
        """The declared measure of this name and of one of `kinds`; else it is counted, and None."""
        found = self._measures.get(name) if isinstance(name, str) else None
        if found is None:
            known = isinstance(name, str) and name in self.registry.measures
            refusals.add(str(name) if known else OTHER, UNDECLARED)
            return None
        if found.kind not in kinds:
            refusals.add(found.name, WRONG_VALUE)
            return None
        return found

    def attributes(
        self,
        given: Iterable[tuple[object, object]],
        allowed: frozenset[str] | None,
        refusals: Refusals,
    ) -> dict[str, Value]:
        """The declared attributes among `given`, under their declared names. `allowed`: those that
        this measure has (None: any); others are dropped as undeclared.
        """
        kept: dict[str, Value] = {}
        for number, (name, value) in enumerate(given):
            if number >= MOST_ATTRIBUTES:
                refusals.add(OTHER, TOO_MANY)
                break
            found = self._fields.get(name) if isinstance(name, str) else None
            if found is None or (allowed is not None and found.name not in allowed):
                self._count(name, found, refusals)
                continue
            checked = found.kind.check(value)
            if checked is None:
                refusals.add(found.name, WRONG_VALUE)
            else:
                kept[found.name] = checked
        return kept

    def value(self, name: str, value: object, refusals: Refusals) -> Value | None:
        """One declared field's value, or None (counted unless there was nothing)."""
        if value is None:
            return None
        found = self._fields.get(name)
        checked = None if found is None else found.kind.check(value)
        if checked is None:
            refusals.add(name if name in self.registry.by_any_name else OTHER, WRONG_VALUE)
        return checked

    def refuse(self, names: Iterable[object], refusals: Refusals) -> None:
        """Count field names that are dropped unread."""
        for number, name in enumerate(names):
            if number >= MOST_ATTRIBUTES:
                refusals.add(OTHER, TOO_MANY)
                break
            self._count(name, None, refusals)

    def _count(self, name: object, found: Field | None, refusals: Refusals) -> None:
        if found is not None:
            refusals.add(found.name, UNDECLARED)
        elif isinstance(name, str) and name in self.registry.refused:
            refusals.add(name, REFUSED)
        elif isinstance(name, str) and name in self.registry.by_any_name:
            refusals.add(self.registry.by_any_name[name].name, UNDECLARED)  # expired
        else:
            refusals.add(OTHER, UNDECLARED)
