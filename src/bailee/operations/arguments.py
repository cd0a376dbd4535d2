"""What an operation is given: who asks, and plain values by name, as they came from a command.

Rules kept here:

* Who asks is worked out once, at the edge where the question came in, and handed on: no operation
  finds it among the values, and there is no one whom it takes for granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bailee.accounts import Account, Actor
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node.node import Node

_PROOFS: Final = frozenset({"key", "cookie"})
"""What proves who asks. It is not among what an operation is given."""


class Arguments(Mapping[str, Any]):
    """The values of one question, and `by`: who asks."""

    __slots__ = ("_values", "by")

    def __init__(self, values: Mapping[str, Any], by: Actor) -> None:
        self._values = {name: value for name, value in values.items() if name not in _PROOFS}
        self.by = by

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def require(
    node: Node, arguments: Arguments, permission: Permission, account: Account | None = None
) -> None:
    """Go on only if who asks may do this, to an account or to the service as a whole.

    Raises:
        InputError: code `forbidden`.
    """
    node.registry.authority.require(arguments.by, permission, account)


def moment(node: Node, arguments: Arguments) -> datetime:
    """The moment that an operation is carried out at: `now`, if a test set it, else the clock's.
    What may be read goes by it.
    """
    return _given(arguments) or node.latest()


def due(node: Node, arguments: Arguments) -> datetime:
    """The moment by which things are due: like `moment`, but the home's time while the machine's
    clock is ahead of it. What is done is noted by it, so that no note is from a time to come.
    """
    return _given(arguments) or node.clock()


def _given(arguments: Arguments) -> datetime | None:
    given = arguments.get("now")
    return None if given is None else datetime.fromisoformat(given)


def text(arguments: Arguments, name: str) -> str:
    """A text that must be there.

    Raises:
        InputError: it is missing, or not a text.
    """
    return _text(arguments, name)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise InputError(f"the argument {name!r} is missing.")
    return value
