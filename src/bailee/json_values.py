"""JSON that nobody has checked yet, as a type, and reading it. Pure.

Total: of what is not there, or of another kind, a reader gives the empty one of its kind. Who must
refuse says so itself. What is only written down needs none of this: it is an `object`.
"""

from __future__ import annotations

from typing import TypeAlias

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
