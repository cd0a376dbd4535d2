"""How a command reaches a home: through its running server, or by owning it for a moment.

One process owns a home. When a server runs, the command's operation is carried out there; when
none runs, the command takes the lock, opens the home, and lets it go again. `BAILEE_NOW` is passed
on only in a home made with a test clock, and refused in every other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from bailee.errors import BaileeError, InputError
from bailee.home import Home, HomeLock, control, find
from bailee.home.set_clock import time_set

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="The home (else BAILEE_HOME, else the user's data folder)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

_PATIENCE = 15.0
_AT_ONCE: Final = 1000  # as many as a page may have


def operate(
    home: Home, operation: str, arguments: Mapping[str, object] | None = None, *, make: bool = False
) -> Iterator[object]:
    """Carry out `operation` on `home` and give its items. `make`: a home that is not there is made.

    Raises:
        BaileeError: what the operation raised; `not_found` when there is no home.
    """
    given = dict(arguments or {})
    now = time_set(home, os.environ)
    if now is not None:
        given["now"] = now.isoformat()
    if not home.exists and not make:
        raise InputError(
            f"there is no home at {home.path}.",
            code="not_found",
            hint="name it with --home or BAILEE_HOME, or start one with `bailee up`",
        )
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            yield from control.ask(home.control_socket, operation, given)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        else:
            return
        lock = HomeLock(home)
        try:
            lock.acquire()
        except BaileeError as error:
            # Its owner is starting or stopping, or is another command: it will be done soon. One
            # whose run/ was removed can't be reached however long one waits.
            reachable = home.lock_file.exists()
            if error.code != "home_in_use" or not reachable or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            continue
        try:
            yield from _here(home, operation, given)
        finally:
            lock.release()
        return


def _here(home: Home, operation: str, arguments: Mapping[str, object]) -> Iterator[object]:
    from bailee.node import Node
    from bailee.operations.asks import at_terminal
    from bailee.operations.table import perform

    with Node.open(home) as node:
        result = perform(node, operation, arguments, by=at_terminal(node, arguments))
        yield from result if isinstance(result, Iterator) else (result,)


def ask_one(
    given: Path | None,
    operation: str,
    arguments: Mapping[str, object] | None = None,
    *,
    make: bool = False,
) -> object:
    """The one item of an operation on the home that `given` and the environment name."""
    (item,) = operate(find(given), operation, arguments, make=make)
    return item


def ask_pages(
    given: Path | None,
    operation: str,
    arguments: Mapping[str, object] | None = None,
    *,
    most: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The items of all pages of a list, or at `most` so many, each page asked for when it is
    reached.

    Raises:
        BaileeError: what the operation raised; `not_found` when there is no home.
    """
    after, left = None, most
    while left is None or left > 0:
        limit = _AT_ONCE if left is None else min(left, _AT_ONCE)
        asked = {**(arguments or {}), "limit": limit, "after": after}
        page = cast("dict[str, Any]", ask_one(given, operation, asked))
        yield from page["items"]
        after, left = page["next"], None if left is None else left - limit
        if after is None:
            return
