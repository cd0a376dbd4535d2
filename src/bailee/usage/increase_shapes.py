"""Requests for more, as the vendor's admin API writes them (`spend_shapes`). Pure.

Rules kept here:

* What a request has that is not known is refused.
* `suppress_notification` is taken either way: no email is sent, and the person's own page says what
  became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError
from bailee.json_values import JsonObject, members
from bailee.usage.increase import IncreaseRequest
from bailee.usage.limits import LimitSpan
from bailee.usage.spend_shapes import PERIODS, SPANS, SpendMember, micro_of, moment, user_actor

_QUIET: Final = "suppress_notification"


@dataclass(frozen=True, slots=True)
class WantedGrant:
    """How much is granted, in micro-USD, and in what; None: in what was asked for."""

    amount: int
    span: LimitSpan | None


def grant(body: object) -> WantedGrant:
    """What the body of an approval says.

    Raises:
        InputError: it is none, or has more than is known.
    """
    given = _known(body, "amount", "period", _QUIET)
    period = given.get("period")
    span = SPANS.get(period) if isinstance(period, str) else None
    if period is not None and span is None:
        raise InputError("there is no such period.", hint=", ".join(SPANS))
    if given.get("amount") is None:
        raise InputError("the amount is missing.", hint='cents in a text: "5000" is $50.00')
    return WantedGrant(micro_of(given["amount"]), span)


def check_denial(body: object) -> None:
    """Whether the body of a denial is one. Raises: InputError: it is none, or has more."""
    _known(body, _QUIET)


def _known(body: object, *names: str) -> JsonObject:
    given = members(body)
    if not isinstance(body, dict) or not {*given} <= {*names}:
        raise InputError("this is not known here.", hint=", ".join(names))
    if not isinstance(given.get(_QUIET), bool | None):
        raise InputError(f"{_QUIET} is true or false.")
    return given


def increase_request(
    one: IncreaseRequest,
    by: SpendMember,
    decided_by_email: str | None,
    summary: JsonObject | None,
) -> JsonObject:
    """A request of a member. `summary`: how they stand, while nobody has decided; None: it is not
    said.
    """
    return {
        "type": "spend_limit_increase_request",
        "id": one.id,
        "actor": user_actor(by.person, by.email),
        "created_at": moment(one.asked_at),
        "period": PERIODS[one.span],
        "status": str(one.state),
        "resolved_at": None if one.decided_at is None else moment(one.decided_at),
        "resolved_by": _decider(one.decided_by, decided_by_email),
        "spend_summary": summary,
    }


def _decider(who: str | None, email: str | None) -> JsonObject | None:
    if who is None:
        return None
    if who.startswith("key_"):
        return {"type": "scoped_api_key_actor", "scoped_api_key_id": who}
    return user_actor(who, email)
