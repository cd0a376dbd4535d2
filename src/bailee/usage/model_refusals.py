"""Why a request goes nowhere for the models that it asks: by a list that was set, or by documents.
Pure.

Rule kept here: where some models may be asked only, a request of which none can be told asks none
of them.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bailee.errors import BaileeError, PolicyDenied
from bailee.usage.asked import AskedOf
from bailee.usage.batch_requests import AskedLater
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.document_bounds import ModelBound
from bailee.usage.models import is_listed, model_of


def not_listed(
    whose: Sequence[tuple[str, str]], lists: Mapping[tuple[str, str], tuple[str, ...]], of: AskedOf
) -> LimitRefusal | None:
    """Why a request goes nowhere by `lists` (scope and subject: models) of those `whose` it is."""
    for one in whose:
        allowed = lists.get(one)
        if allowed is None:
            continue
        if not of.models:
            return LimitRefusal(_unread(one[0], of))
        for model in of.models:
            if not is_listed(model, allowed):
                return LimitRefusal(_denied(model_of(model), one[0]))
    return None


def not_left(bounds: Sequence[ModelBound], of: AskedOf) -> LimitRefusal | None:
    """Why a request goes nowhere for the models that it asks, by documents."""
    for one in bounds:
        if not of.models:
            return LimitRefusal(_unread("organisation", of))
        if not all(map(one.lets, of.models)):
            error = PolicyDenied(
                f"{one.says} [{one.clause}]",
                code="model_not_allowed",
                hint="choose another model: the policy document leaves some only",
            )
            return LimitRefusal(error)
    return None


def _denied(model: str, whose: str) -> BaileeError:
    name = model if model.isascii() and model.isprintable() and len(model) <= 100 else "this one"
    return PolicyDenied(
        f"The model {name} is not among those that this {whose} may ask.",
        code="model_not_allowed",
        hint="choose another model, or ask the operator (`bailee limits models`)",
    )


def _unread(whose: str, of: AskedOf) -> BaileeError:
    if isinstance(of, AskedLater):
        return PolicyDenied(
            f"Which models the requests of this batch ask can't be told, and this {whose} may ask "
            "some models only.",
            code="model_not_allowed",
            hint="send the requests in the body and not as a file, each with its model, no name "
            "twice in an object, and fewer of them at once",
        )
    return PolicyDenied(
        f"Which model this request asks can't be told, and this {whose} may ask some models only.",
        code="model_not_allowed",
        hint="send JSON in which no name stands twice",
    )
