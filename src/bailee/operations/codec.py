"""From JSON, or the text of an address, to an operation's arguments; from its result to JSON.

An operation is a function `(asks, node, **arguments) -> result`. What it takes is read off its
signature, so that there is one place that says it; results are frozen dataclasses.
"""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from bailee.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = TypeVar("Item")
Function = Callable[..., object]
"""An operation: `(asks, node, **arguments) -> result`."""

LARGEST_PAGE: Final = 1000
Limit = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)]
"""How many items a page may have."""

_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(\w+)`")
_WRONG: Final = re.compile(r"(.*) - at `\$\.(\w+)[^`]*`")
_GIVEN: Final = 2  # `asks` and `node`
_LARGEST_NUMBER: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list. `next`: what to give as `after` for those that follow; None: that was all."""

    items: list[Item]
    next: str | None = None


def every(page: Callable[[str | None], Page[Item]]) -> list[Item]:
    """All of a list, a page after the other. `page`: gives the one after a place."""
    found = page(None)
    items = found.items
    while found.next is not None:
        found = page(found.next)
        items = items + found.items
    return items


def extended(kind: Callable[..., Item], shown: DataclassInstance, **more: object) -> Item:
    """A result that has all of another, `shown`, and more."""
    return kind(**{one.name: getattr(shown, one.name) for one in fields(shown)}, **more)


@cache
def parameters(function: Function) -> type[msgspec.Struct]:
    """What an operation takes beside who asks, as one type."""
    hints = get_type_hints(function, include_extras=True)
    taken = list(inspect.signature(function).parameters.values())[_GIVEN:]
    made: type[msgspec.Struct] = msgspec.defstruct(
        f"{function.__module__}.{function.__qualname__}",
        [
            (one.name, hints[one.name])
            if one.default is one.empty
            else (one.name, hints[one.name], one.default)
            for one in taken
        ],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return made


@cache
def result(function: Function) -> Any:
    """The type of what an operation gives."""
    return get_type_hints(function, include_extras=True)["return"]


def arguments(
    function: Function, values: Mapping[str, object], *, texts: bool = False
) -> dict[str, Any]:
    """An operation's arguments. None among the values is as good as nothing. `texts`: they stood in
    an address, where everything is text, and each name may have been given several times.

    Raises:
        InputError: one is missing, of the wrong kind, or none that the operation takes.
    """
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        _check_storable(name, value)
    taken = parameters(function)
    if texts:
        given = {name: _one(taken, name, value) for name, value in given.items()}
    try:
        read = msgspec.convert(given, taken, strict=not texts)
    except msgspec.ValidationError as error:
        raise InputError(_in_words(str(error))) from None
    found = {name: getattr(read, name) for name in taken.__struct_fields__}
    for name, value in found.items():  # what was text may be a number now
        _check_storable(name, value)
    return found


def _check_storable(name: str, value: object) -> None:
    """Refuses what no store, no log and no answer can hold.

    Raises:
        InputError: a text that is no Unicode (half an emoji); a whole number of more than 64 bits.
    """
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            try:
                one.encode()
            except UnicodeEncodeError:
                raise InputError(f"the argument {name!r} is no Unicode.") from None
        elif isinstance(one, int) and not -_LARGEST_NUMBER <= one < _LARGEST_NUMBER:
            raise InputError(f"the argument {name!r} is a number of more than 64 bits.")
        elif isinstance(one, Mapping):
            left += (*one.keys(), *one.values())
        elif isinstance(one, list | tuple):
            left += one


def _one(taken: type[msgspec.Struct], name: str, value: object) -> object:
    """What was given in an address by a name: all of it where an operation takes several."""
    if not isinstance(value, list):
        return value
    kind = _kinds(taken).get(name)
    if kind is not None and _is_several(kind):
        return value
    if len(value) != 1:
        raise InputError(f"the argument {name!r} is given twice.")
    return value[0]


@cache
def _kinds(taken: type[msgspec.Struct]) -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(taken)}


def _is_several(kind: object) -> bool:
    return get_origin(kind) in (list, tuple) or any(_is_several(one) for one in get_args(kind))


def _in_words(problem: str) -> str:
    if missing := _MISSING.match(problem):
        return f"the argument {missing[1]!r} is missing."
    if unknown := _UNKNOWN.match(problem):
        return f"there is no argument {unknown[1]!r} here."
    if wrong := _WRONG.match(problem):
        return f"the argument {wrong[2]!r} is not as it must be: {wrong[1][:200]}."
    return "the arguments are not as they must be."


def plain(value: object) -> Any:
    """A result as JSON has it: dataclasses as objects, moments in ISO 8601, bytes in base64. What
    comes piece by piece still does.
    """
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        return {plain(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, AsyncIterator):
        return _each(value)
    if isinstance(value, Iterator):
        return map(plain, value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _names(type(value))}
    raise TypeError(f"no JSON is known for a {type(value).__name__}")


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class of results."""
    return tuple(one.name for one in fields(kind))


async def _each(items: AsyncIterator[object]) -> AsyncIterator[object]:
    async for item in items:
        yield plain(item)
