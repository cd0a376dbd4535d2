"""Asking a home something, as a command does, or a page: who asks is who proves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bailee.node import Node
from bailee.operations import table
from bailee.operations.asks import at_terminal, from_outside


def perform(node: Node, operation: str, values: Mapping[str, object]) -> Iterator[object] | object:
    """Carry out an operation for whose `key` or `cookie` is among the values, else the operator."""
    edge = from_outside if "cookie" in values else at_terminal
    return table.perform(node, operation, values, by=edge(node, values))
