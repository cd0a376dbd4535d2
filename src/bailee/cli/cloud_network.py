"""`bailee cloud network`: the hosts that an account's cloud sessions reach, or don't, besides."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.cloud_git import AccountOption, whose
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import console, moment, print_json, say, table

app = typer.Typer(
    name="network", help="Hosts that cloud sessions may or may not reach.", no_args_is_help=True
)
EntryArgument = Annotated[str, typer.Argument(help="host, *.host or host:port.")]


@app.command()
def allow(
    entry: EntryArgument,
    account: AccountOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Allow a host to sessions that have a network. Public addresses only."""
    _add("allow", entry, account, as_json, home)


@app.command()
def deny(
    entry: EntryArgument,
    account: AccountOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Deny a host, at every level."""
    _add("deny", entry, account, as_json, home)


@app.command("list")
@narrowed("created")
def list_entries(
    account: AccountOption = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The lists of an account."""
    with reporting():
        found = only.of(ask_several(home, "cloud.network.list", whose(account)))
        if as_json:
            print_json(found)
            return
        rows = [(e["id"], e["verdict"], e["entry"], moment(e["created"])) for e in found]
        console().print(table(("entry", "verdict", "host", "since"), rows))


@app.command()
def remove(
    entry: Annotated[str, typer.Argument(help="net_…, as in `bailee cloud network list`.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Remove an entry."""
    with reporting():
        arguments = whose(None) | {"id": entry}
        gone = ask_one(home, "cloud.network.remove", arguments)
        if as_json:
            print_json(gone)
        else:
            say(f"{gone['entry']} is on no list any more.")


def _add(verdict: str, entry: str, account: str | None, as_json: bool, home: PlaceOption) -> None:
    with reporting():
        arguments = whose(account) | {"entry": entry}
        added = ask_one(home, f"cloud.network.{verdict}", arguments)
        if as_json:
            print_json(added)
        else:
            done = "allowed" if verdict == "allow" else "denied"
            say(f"{added['entry']} is {done} from the next session on ({added['id']}).")
