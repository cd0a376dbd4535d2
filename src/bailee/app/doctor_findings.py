"""What `bailee doctor --service` looks at, and what a check of it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bailee.config import Settings
from bailee.errors import BaileeError
from bailee.home import Home


class Fitness(StrEnum):
    """How a thing is: well; it works, and will not or not with everything; it does not work; it
    can't be told.
    """

    WELL = "well"
    DOUBT = "doubt"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MachineFinding:
    """What one check found. `said` and, if there is something to do, `hint` are names of texts
    below `doctor`, filled with `values`; an error of bailee's own says both itself.
    """

    check: str
    health: Fitness
    said: str
    hint: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    error: BaileeError | None = None


@dataclass(frozen=True, slots=True)
class ExaminedHome:
    """What is looked at. `issuers`: the providers of the home's organisations, if a server says.
    `closed`: the settings that open what the policy document closes, each with the key or clause of
    the document; None: no server says. `summed`: whether the sums of sessions were those of all
    sessions; likewise.
    """

    home: Home
    settings: Settings
    environment: Mapping[str, str]
    issuers: Sequence[str] = ()
    closed: Sequence[tuple[str, str]] | None = None
    summed: bool | None = None
