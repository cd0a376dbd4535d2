"""What makes a function an operation: what is done around each of them, whoever calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks, Via

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


@contextmanager
def sent_by(asks: Asks) -> Iterator[None]:
    """Around reading something of a form that the operator's own files have too. What is wrong with
    it is the asker's matter over HTTP: no failure of the server, as a setting of its own would be.
    """
    try:
        yield
    except InputError as error:
        if asks.via is Via.TERMINAL or error.http_status < 500:
            raise
        raise InputError(error.message, hint=error.hint) from None
