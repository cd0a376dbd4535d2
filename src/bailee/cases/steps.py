"""What a request may be, what may follow what, and when it is due. Pure.

    open → answered → closed (let go)
         ↘ refused  ↗

Rules kept here:

* A request is due one period after it came (a month, unless the operator set another; never longer
  than the policy document has it), and may be
  put off once, by a second period, with a reason. It is never put off after it was due.
* It is answered or refused once. What was answered is not opened again: who has more to ask makes
  another request.
* An erasure is answered when it has begun, or when there is nobody to erase. A legal hold puts off
  a part of it, not the answer: the answer says which part, and why.

The periods are those of the GDPR, article 12 (3): one month, and two further months.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bailee.errors import InputError
from bailee.policy.period import expires_at

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter looks like a digit, so a reference can be read out."""
_LENGTH: Final = 12
REFERENCE_BYTES: Final = 8
PREFIX: Final = "req_"
AFTER_ANSWER_DAYS: Final = 30
"""For how long what names somebody stays after their erasure was answered, unless it is let go
before: so long the letter can be written again."""


class CaseKind(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    PORTABILITY = "portability"
    CORRECTION = "correction"
    OBJECTION = "objection"
    ERASURE = "erasure"


class CaseState(StrEnum):
    """How far a request has come."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a request may take, as ISO 8601 periods: `first`, and `further` once. Of several the
    one holds that ends first.
    """

    first: tuple[str, ...] = ("P1M",)
    further: tuple[str, ...] = ("P2M",)

    def due(self, received: datetime) -> datetime:
        """When a request is due that came at a moment."""
        return min(expires_at(received, one) for one in self.first)

    def put_off(self, due: datetime) -> datetime:
        """When it is due once it was put off."""
        return min(expires_at(due, one) for one in self.further)


def reference(random: bytes) -> str:
    """The reference of a request, made of 8 random bytes: 60 bits of them, in 12 characters.

    >>> reference(bytes(8))
    'req_000000000000'
    """
    number = int.from_bytes(random[:REFERENCE_BYTES], "big")
    digits = (_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH))
    return PREFIX + "".join(digits)


def normal_reference(given: str) -> str:
    """A reference as it is on record, however it was read out and typed.

    >>> normal_reference("REQ_O0IL-abcd-efgh")
    'req_0011abcdefgh'
    """
    text = given.strip().lower().replace("-", "").replace(" ", "").removeprefix(PREFIX)
    return PREFIX + text.translate(str.maketrans("oil", "011"))


def check_extension(state: CaseState, extended: bool, due: datetime, now: datetime) -> None:
    """Go on only if a request may be put off.

    Raises:
        InputError: it is not open, was put off before, or is overdue.
    """
    check_open(state)
    if extended:
        raise InputError("the request was put off before, and is put off once at most.")
    if now > due:
        raise InputError(
            "the request is overdue, and can't be put off any more.",
            hint="answer it; say in the answer why it is late",
        )


def check_open(state: CaseState) -> None:
    """Go on only if a request is open.

    Raises:
        InputError: it is not.
    """
    if state is not CaseState.OPEN:
        raise InputError(
            f"the request is {state} already.", hint="who has more to ask makes another request"
        )


def check_closing(state: CaseState) -> None:
    """Go on only if what names somebody in a request may be let go.

    Raises:
        InputError: it is still open.
    """
    if state is CaseState.OPEN:
        raise InputError(
            "the request is open.", hint="answer it first: bailee requests answer REFERENCE"
        )
