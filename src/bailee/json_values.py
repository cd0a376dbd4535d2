"""JSON that nobody has checked yet, as a type, and reading it. Pure.

Total: of what is not there, or of another kind, a reader gives the empty one of its kind. Who must
refuse says so itself. What is only written down needs none of this: it is an `object`.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final, TypeAlias, TypeVar, cast

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A JSON value."""
JsonObject: TypeAlias = dict[str, Json]


def members(value: object) -> JsonObject:
    """A JSON object's members; none where it is something else."""
    return value if isinstance(value, dict) else {}


def elements(value: object) -> list[Json]:
    """A JSON list's elements; none where it is something else."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[JsonObject]:
    """Those elements of a JSON list that are objects."""
    return [one for one in elements(value) if isinstance(one, dict)]


def text(value: object) -> str:
    """A JSON string; "" where it is something else."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """A JSON number without a fraction; 0 where it is something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


Kind = TypeVar("Kind")
_HALF: Final = re.compile("[\\ud800-\\udfff]")


def well_formed(value: Kind) -> Kind:
    """The same value as what JSON in UTF-8 can hold: U+FFFD for what is no character (half of a
    pair, a byte that did not decode), null for what is no number.
    """
    return cast("Kind", _formed(value))


def _formed(value: object) -> object:
    match value:
        case str():
            return _HALF.sub("\ufffd", value)
        case list():
            return [_formed(one) for one in value]
        case dict():
            return {_HALF.sub("\ufffd", name): _formed(one) for name, one in value.items()}
        case float() if not isfinite(value):
            return None
        case _:
            return value
