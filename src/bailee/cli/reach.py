"""How a command reaches a home: through its running server, by owning it for a moment, or
elsewhere.

One process owns a home. When a server runs, the command's operation is carried out there; when
none runs, the command takes the lock, opens the home, and lets it go again. `BAILEE_NOW` is passed
on only in a home made with a test clock, and refused in every other. With `--server` the home is a
server's elsewhere, asked over HTTP (`elsewhere`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bailee.cli.answers import Fields, fields, fields_of
from bailee.errors import BaileeError, InputError
from bailee.home import Home, HomeLock, control, find
from bailee.home.set_clock import time_set
from bailee.json_values import Json, elements, text

if TYPE_CHECKING:
    from bailee.cli.elsewhere import RemoteServer

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="The home (else BAILEE_HOME, else the user's data folder)."),
]


@dataclass(frozen=True, slots=True)
class HomePlace:
    """Where a home is: a folder here, or the address of a server's console."""

    folder: Path | None = None
    address: str | None = None


def _place(text: str) -> HomePlace:
    return HomePlace(address=text) if "://" in text else HomePlace(folder=Path(text))


PlaceOption = Annotated[
    HomePlace | None,
    typer.Option(
        "--home",
        "--server",
        parser=_place,
        metavar="PATH|URL",
        help="The home's folder (else BAILEE_HOME, else the user's data folder), or the address of "
        "a server's console (else BAILEE_SERVER), asked with BAILEE_API_KEY.",
    ),
]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Which operator you are, by email or id (else BAILEE_AS): it goes on record. With "
        "--server the key says it.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

Arguments = Mapping[str, object]
Ask = Callable[[str, Arguments], Iterator[Json]]
"""Carries out an operation: gives its items as they come."""

_PATIENCE = 15.0
_AT_FIRST: Final = 200  # items; most who list want the first
_AT_ONCE: Final = 1000  # as many as a page may have


def is_there(given: HomePlace | None) -> bool:
    """Whether there is a home where `given` and the environment say, as far as can be seen here."""
    if _server(given) is not None:
        return True
    return find(None if given is None else given.folder).exists


def operate(
    given: HomePlace | None,
    operation: str,
    arguments: Arguments | None = None,
    *,
    make: bool = False,
) -> Iterator[Json]:
    """Carry out `operation` on the home that `given` and the environment name, and give its items.
    `make`: a home that is not there is made.

    Raises:
        BaileeError: what the operation raised; `not_found` when there is no home.
    """
    with asking(given, make=make) as ask:
        yield from ask(operation, arguments or {})


def ask_one(
    given: HomePlace | None,
    operation: str,
    arguments: Arguments | None = None,
    *,
    make: bool = False,
) -> Fields:
    """What an operation gives that gives one object. See `operate`."""
    (item,) = operate(given, operation, arguments, make=make)
    return fields(item)


def ask_several(
    given: HomePlace | None, operation: str, arguments: Arguments | None = None
) -> list[Fields]:
    """What an operation gives that gives a list of objects. See `operate`."""
    (item,) = operate(given, operation, arguments)
    return fields_of(elements(item))


def ask_pages(
    given: HomePlace | None, operation: str, arguments: Arguments | None = None
) -> Iterator[Fields]:
    """The items of all pages of a list, each page asked for when it is reached: who needs the first
    items alone takes no more.

    Raises:
        BaileeError: what the operation raised; `not_found` when there is no home.
    """
    after: str | None = None
    limit = _AT_FIRST
    with asking(given) as ask:
        while True:
            asked = {**(arguments or {}), "limit": limit, "after": after}
            (page,) = map(fields, ask(operation, asked))
            yield from page.parts("items")
            after, limit = text(page["next"]), _AT_ONCE
            if not after:
                return


def _server(given: HomePlace | None) -> RemoteServer | None:
    if given is None and os.environ.get("BAILEE_SERVER"):
        given = HomePlace(address=os.environ["BAILEE_SERVER"])
    if given is None or given.address is None:
        return None
    from bailee.cli.elsewhere import RemoteServer  # TLS and HTTP take a moment, and most stay here

    return RemoteServer(given.address, os.environ.get("BAILEE_API_KEY"))


@contextmanager
def asking(given: HomePlace | None, *, make: bool = False) -> Iterator[Ask]:
    """A way to ask a home or server, several times if need be: it is opened once. See `operate`."""
    server = _server(given)
    if server is not None:
        yield lambda operation, arguments: server.ask(
            operation, {name: value for name, value in arguments.items() if name != "as"}
        )
        return
    home = find(None if given is None else given.folder)
    now = time_set(home, os.environ)
    more = {} if now is None else {"now": now.isoformat()}

    def whole(arguments: Arguments) -> Arguments:
        named = arguments.get("as") or os.environ.get("BAILEE_AS")
        return {**arguments, **more, **({"as": named} if named else {})}

    if not home.exists and not make:
        raise InputError(
            f"there is no home at {home.path}.",
            code="not_found",
            hint="name it with --home or BAILEE_HOME, or start one with `bailee up`; a server "
            "elsewhere is named by its address: --server https://…",
        )
    lock = _owned(home)
    if lock is None:
        yield lambda operation, arguments: control.ask(
            home.control_socket, operation, whole(arguments)
        )
        return
    try:
        with _opened(home) as ask:
            yield lambda operation, arguments: ask(operation, whole(arguments))
    finally:
        lock.release()


def _owned(home: Home) -> HomeLock | None:
    """The home's lock; None: a server has it, and answers."""
    deadline = time.monotonic() + _PATIENCE
    while not control.answers(home.control_socket):
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
        else:
            return lock
    return None


@contextmanager
def _opened(home: Home) -> Iterator[Ask]:
    from bailee.node import Node
    from bailee.operations.asks import at_terminal
    from bailee.operations.table import perform

    with Node.open(home) as node:

        def ask(operation: str, arguments: Arguments) -> Iterator[Json]:
            result = perform(node, operation, arguments, by=at_terminal(node, arguments))
            yield from result if isinstance(result, Iterator) else (result,)

        yield ask
