"""What documents say of an organisation's use: how much at the most, of which models. Pure.

A `[[bound]]` of the operator's document is on each organisation, one of an organisation's own on
itself. It holds by itself: no limit and no list has to be set.

Rules kept here:

* Of two documents the smaller amount holds, and of equal ones the operator's is named. Of models
  what all leave.
* What is used is counted for a subject of its own, which has the number of the entry since which
  the documents hold: so another document counts what was used before it from the counts by the
  hour, and not what an earlier one had counted and then did not.
* A limit or a list that was set goes further where it would let something through that a bound does
  not. It holds as far as the bound.

Rows: O2, P1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.policy import Policy
from bailee.policy.bounds import LIMITED, MODELS, amount_of
from bailee.policy.document import SettingBound
from bailee.policy.holding import InForce
from bailee.usage.limits import (
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    limit_id,
    organisation_of,
)
from bailee.usage.models import is_listed, model_of


@dataclass(frozen=True, slots=True)
class ModelBound:
    """Which models are asked for an organisation: of `only` (None: of all), and none of `deny`.
    `says`: the clause's text.
    """

    clause: str
    says: str
    only: tuple[str, ...] | None
    deny: tuple[str, ...]

    def lets(self, model_id: str) -> bool:
        """Whether this model may be asked."""
        return (self.only is None or is_listed(model_id, self.only)) and not is_listed(
            model_id, self.deny
        )

    def lets_all(self, names: Iterable[str]) -> bool:
        """Whether every model of a list may be asked; of `claude-*` all that begin so."""
        return all(
            (self.only is None or any(_covers(wide, one) for wide in self.only))
            and not any(_covers(wide, one) or _covers(one, wide) for wide in self.deny)
            for one in names
        )


@dataclass(frozen=True, slots=True)
class UseBounds:
    """What documents say of one organisation's use."""

    limits: tuple[UsageLimit, ...] = ()
    models: tuple[ModelBound, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.limits or self.models)


UNBOUNDED: Final = UseBounds()


def bounds_on(organisation: str, held: InForce) -> UseBounds:
    """What holds of an organisation's use; of who is in none, nothing is said."""
    found = _bounds(held.policy) if organisation else ()
    if not found:
        return UNBOUNDED
    subject = Subject(Scope.DOCUMENT, f"{organisation}/{held.since}")
    models = (one for one in found if one.of == MODELS)
    return UseBounds(
        tuple(
            UsageLimit(
                limit_id(subject, measure, span),
                *(subject, measure, span, amount),
                *(bound.clause.id, bound.clause.text.en),
            )
            for measure, span, amount, bound in _strictest(found)
        ),
        tuple(ModelBound(one.clause.id, one.clause.text.en, one.only, one.deny) for one in models),
    )


def closes(policy: Policy, limit: UsageLimit) -> str | None:
    """The clause of a bound that has less than a limit of an organisation's, or of something in
    one; None: it goes no further.
    """
    if not organisation_of(limit.subject):
        return None
    return next(
        (
            bound.clause.id
            for measure, span, amount, bound in _strictest(_bounds(policy))
            if (measure, span) == (limit.measure, limit.span) and amount < limit.amount
        ),
        None,
    )


def closes_list(policy: Policy, models: Sequence[str]) -> str | None:
    """The clause of a bound that leaves less than a list of models; None: it leaves all of it."""
    for one in _bounds(policy):
        if one.of == MODELS:
            bound = ModelBound(one.clause.id, one.clause.text.en, one.only, one.deny)
            if not bound.lets_all(models):
                return bound.clause
    return None


def _bounds(policy: Policy) -> list[SettingBound]:
    own = () if policy.own is None else policy.own.bounds
    return [one for one in (*policy.document.bounds, *own) if one.of in LIMITED or one.of == MODELS]


def _strictest(
    bounds: Iterable[SettingBound],
) -> list[tuple[LimitMeasure, LimitSpan, int, SettingBound]]:
    found: dict[str, tuple[LimitMeasure, LimitSpan, int, SettingBound]] = {}
    for one in bounds:
        if one.of in LIMITED and one.at_most is not None:
            measure, span = LIMITED[one.of]
            amount = amount_of(one.of, one.at_most)
            if one.of not in found or amount < found[one.of][2]:
                found[one.of] = LimitMeasure(measure), LimitSpan(span), amount, one
    return list(found.values())


def _covers(wide: str, narrow: str) -> bool:
    """Whether a name of a list is for all that another one is for."""
    if not wide.endswith("*"):
        return not narrow.endswith("*") and model_of(wide) == model_of(narrow)
    return model_of(narrow.removesuffix("*")).startswith(model_of(wide.removesuffix("*")))
