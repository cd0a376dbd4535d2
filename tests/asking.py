"""Asking a home something, as a command does, or a page: who asks is who proves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bailee.node import Node
from bailee.operations import table
from bailee.operations.asks import at_terminal, from_outside


def perform(node: Node, operation: str, values: Mapping[str, object]) -> Iterator[object] | object:
    """Carry out an operation for whose `key` or `cookie` is among the values, else the operator. Of
    a list the items of all its pages, unless a `limit` is given.
    """
    edge = from_outside if "cookie" in values else at_terminal
    by = edge(node, values)
    found = table.perform(node, operation, values, by=by)
    if "limit" in values or not isinstance(found, dict) or found.keys() != {"items", "next"}:
        return found
    items, after = found["items"], found["next"]
    while after is not None:
        found = table.perform(node, operation, {**values, "after": after}, by=by)
        items, after = items + found["items"], found["next"]
    return items
