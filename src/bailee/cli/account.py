"""`bailee account`: the accounts of a home, and what the operator lets them do upstream."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption, ask_one
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError

app = typer.Typer(help="Accounts, and what they may send upstream.", no_args_is_help=True)

_Account = Annotated[str, typer.Argument(help="acc_…, org_…, or a person (per_… or email).")]
_Routes = Annotated[
    bool,
    typer.Option(
        "--unrecorded-routes",
        help="Requests that are no conversations (files, batches, other APIs), on the operator's "
        "credential. Nothing of them is recorded.",
    ),
]


@app.command("list")
def list_accounts(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Every account, and whose it is."""
    with reporting():
        found = cast("list[dict[str, Any]]", ask_one(home, "account.list"))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                one["account"],
                one["name"],
                one["plan"],
                one["person"] or one["organisation"] or "its key holder",
                "allowed" if one["unrecorded_routes"] else "",
                moment(one["created"]),
            )
            for one in found
        ]
        columns = ("account", "name", "plan", "whose", "unrecorded routes", "created")
        console().print(table(columns, rows))


@app.command()
def allow(
    account: _Account,
    unrecorded_routes: _Routes = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let an account send more upstream than conversations; it holds for the next request."""
    _change(home, account, unrecorded_routes, True, as_json)


@app.command()
def forbid(
    account: _Account,
    unrecorded_routes: _Routes = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take that back; it holds for the next request."""
    _change(home, account, unrecorded_routes, False, as_json)


def _change(home: HomeOption, account: str, named: bool, allowed: bool, as_json: bool) -> None:
    with reporting():
        if not named:
            raise InputError("what is meant is not said.", hint="name --unrecorded-routes")
        asked = {"account": account, "unrecorded_routes": allowed}
        changed = cast("dict[str, Any]", ask_one(home, "account.allow", asked))
        if as_json:
            print_json(changed)
        elif allowed:
            say(
                f"{changed['account']} may use unrecorded routes on the operator's credential. "
                "What it sends there is not recorded."
            )
        else:
            say(f"{changed['account']} may not use unrecorded routes.")
