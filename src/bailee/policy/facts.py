"""From facts to terms: all that a decision about keeping takes, and what it gives. Pure.

Rules kept here:

* Facts are of somebody or something that is there; nobody is told a period of facts made up for
  them. What is nobody's has facts of its own, which say so (`nobodys`).
* `None` in the place of terms is the one way to say that something is not kept.
"""

from __future__ import annotations

import re
from typing import Final

from bailee.records import dataclass

_NUMBERS: Final = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the policy asks of whoever something is from, and how it came, to say whether it is kept
    and how long: everything but its data class.
    """

    plan: str
    channel: str
    training_choice: str
    zero_retention: bool
    partner_programme: bool


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What a document may ask of a client that would send something. `sign_in`: how it is signed in
    at the model's provider; `version`: its own, as it writes it; None: not known.
    """

    sign_in: str = "nobody"
    version: str | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that the version begins with: "2.1.332-beta" is 2.1.332; none: unknown."""
        found = _NUMBERS.match(self.version or "")
        return tuple(map(int, found[1].split("."))) if found else ()


@dataclass(frozen=True, slots=True)
class Terms:
    """The policy's terms for keeping something: what was decided when it came.

    `period` is an ISO 8601 duration ("P30D", "P5Y"); `clause` and `document` say which clause of
    which policy document (its SHA-256, hex) decided.
    """

    period: str
    clause: str
    document: str


def nobodys(plan: str) -> Facts:
    """The facts of what is nobody's: the server's own measurements, a count of answers."""
    return Facts(plan, "api", "none", zero_retention=False, partner_programme=False)
