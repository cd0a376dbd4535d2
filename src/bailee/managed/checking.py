"""Whether what an agent must obey is in force on a machine: what its files say, beside what was
compiled. Pure.

A place that can't be understood says nothing for sure: whatever might stand in it is unknown, and
is not taken for obeyed.

Rows: O3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bailee.managed.values import ManagedSettings, ManagedValue


class ValueState(StrEnum):
    """How a value stands: as it must, not at all, as another, or where nobody can read it."""

    IN_FORCE = "in_force"
    ABSENT = "absent"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SettingsPlace:
    """One file that an agent reads. `content`: None where it is there and can't be understood.
    `loose`: somebody else than the machine's administrator can change it.
    """

    path: str
    content: Mapping[str, object] | None
    loose: bool


@dataclass(frozen=True, slots=True)
class CheckedValue:
    """A value that must be in force, how it stands, and the file that says so."""

    value: ManagedValue
    state: ValueState
    path: str | None
    loose: bool = False

    @property
    def obeyed(self) -> bool:
        """Whether it is in force, and stays so until an administrator changes it."""
        return self.state is ValueState.IN_FORCE and not self.loose


def check(wanted: ManagedSettings, places: Iterable[SettingsPlace]) -> list[CheckedValue]:
    """How each value stands. `places`: those that this agent reads, the one that wins first."""
    there = list(places)
    return [_checked(one, there) for one in wanted.file.values]


def _checked(value: ManagedValue, places: Sequence[SettingsPlace]) -> CheckedValue:
    for place in places:
        if place.content is None:
            return CheckedValue(value, ValueState.UNKNOWN, place.path, place.loose)
        found, said = _within(place.content, value.key)
        if found:
            same = type(said) is type(value.value) and said == value.value
            state = ValueState.IN_FORCE if same else ValueState.OTHER
            return CheckedValue(value, state, place.path, place.loose)
    return CheckedValue(value, ValueState.ABSENT, None)


def _within(content: Mapping[str, object], key: Sequence[str]) -> tuple[bool, object]:
    said: object = content
    for name in key:
        if not isinstance(said, Mapping) or name not in said:
            return False, None
        said = said[name]
    return True, said
