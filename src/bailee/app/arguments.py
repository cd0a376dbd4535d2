"""How operations read their arguments: plain values by name, as they came from a command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bailee.app.node import Node
from bailee.errors import InputError

Arguments = Mapping[str, Any]


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
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InputError(f"the argument {name!r} is missing.")
    return value
