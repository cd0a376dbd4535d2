"""`bailee home`: what is said about a home as a whole."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption
from bailee.cli.show import print_json, say
from bailee.home import find

app = typer.Typer(help="The home as a whole.", no_args_is_help=True)


class _Part(StrEnum):
    DATA = "data"
    KEYRING = "keyring"
    VAULT = "vault"


@app.callback()
def _group() -> None:
    pass


@app.command("accept-older")
def accept_older(
    parts: Annotated[
        list[_Part],
        typer.Argument(help="Which, as the error named them."),
    ],
    reason: Annotated[str, typer.Option(help="Why; it is in the audit record.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take a part that is older than the rest of the home for what holds from now on.

    What happened since is undone and nothing brings it back. Older data: choices, revoked keys,
    holds and erasures are as they were, and what was recorded since is lost. An older keyring: what
    was destroyed since can be read again, and what was recorded since can not. An older vault: what
    was recorded since is lost.
    """
    with reporting():
        from bailee.app.older import accept_older as accept

        done = accept(find(home), parts, reason)
        if as_json:
            print_json(asdict(done))
        else:
            names = " and ".join(f"{name}/" for name in done.accepted)
            say(f"{names} of {done.home} is what holds from now on. The audit record says so.")
            for person in done.erased_again:
                say(f"{person} was erased since, and is erased again.")
            for person in done.unnamed:
                say(
                    f"What names {person} can't be read, and whether they were erased the keyring "
                    f"can't say. If they were: bailee person erase {person}"
                )


@app.command("salvage")
def salvage(
    reason: Annotated[
        str | None,
        typer.Option(help="Why; it is in the audit record. Without it nothing is changed."),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a data database with damaged pages whole again, without the rows that can't be read.

    Without a reason it says which those are. What can't be read is lost for good, sessions with
    their content: if there is a copy of data/, put that back instead. It is refused where a hold,
    an erasure, a deletion or an entry of the audit record could be lost.
    """
    with reporting():
        from bailee.app.salvaging import salvage as make_whole

        found = make_whole(find(home), reason)
        if as_json:
            print_json([{"table": one.table, "ids": one.ids} for one in found])
            return
        for one in found:
            say(f"{one.table}: {one.said}")
        if reason is not None:
            say("All else is in a new database. The audit record says so.")
        elif found:
            say('Nothing was changed. To go on without these: bailee home salvage --reason "..."')
        else:
            say("Every row can be read. What else is damaged says bailee verify.")
