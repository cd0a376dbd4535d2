"""What makes a function an operation: what is done around each of them, whoever calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from bailee.node import Node
from bailee.operations.asks import Asks

Given = ParamSpec("Given")
Result = TypeVar("Result")
Operation = Callable[Concatenate[Asks, Node, Given], Result]


def operation(
    *, makes_room: bool = False
) -> Callable[[Operation[Given, Result]], Operation[Given, Result]]:
    """An operation. `makes_room`: it deletes, so on a full disk it may use what is kept for it."""

    def make(function: Operation[Given, Result]) -> Operation[Given, Result]:
        @wraps(function)
        def carry_out(
            asks: Asks, node: Node, /, *args: Given.args, **given: Given.kwargs
        ) -> Result:
            try:
                with node.room.deleting() if makes_room else nullcontext():
                    return function(asks, node, *args, **given)
            finally:
                node.marks.catch_up()

        return carry_out

    return make
