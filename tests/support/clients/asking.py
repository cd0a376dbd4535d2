"""Asking a home something, as a command does, or a page: who asks is who proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bailee.home import Home, control
from bailee.node import Node
from bailee.operations import table
from bailee.operations.asks import at_terminal, from_outside

Values = Mapping[str, object]


def perform(node: Node, operation: str, values: Values) -> Iterator[object] | object:
    """Carry out an operation for whose `key` or `cookie` is among the values, else the operator; as
    `whole` gives it.
    """
    edge = from_outside if "cookie" in values else at_terminal
    by = edge(node, values)
    return whole(lambda given: table.perform(node, operation, given, by=by), values)


def ask_server(home: Home, operation: str, values: Values) -> Any:
    """Ask whoever serves a home, as a command does; as `whole` gives it."""

    def ask(given: Values) -> Any:
        (answer,) = control.ask(home.control_socket, operation, given)
        return answer

    return whole(ask, values)


def whole(ask: Callable[[Values], Any], values: Values) -> Any:
    """An answer; of a list the items of all its pages, unless a `limit` is among the values."""
    found = ask(values)
    if "limit" in values or not isinstance(found, dict) or found.keys() != {"items", "next"}:
        return found
    items = found["items"]
    while found["next"] is not None:
        found = ask({**values, "after": found["next"]})
        items += found["items"]
    return items
