"""`bailee key`: API keys, each of an account with a plan."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption, ask_one
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError

app = typer.Typer(help="API keys.", no_args_is_help=True)
_OPENS = {"full": "all", "ingest": "sending", "cloud": "one cloud session"}


@app.command()
def create(  # noqa: PLR0917 - each is an option
    plan: Annotated[
        str | None,
        typer.Option(
            help="For a new account: free, pro, max, team, enterprise, api, third_party or gov.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Of this person's account (per_… or email).")
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option(help="Of this organisation's account; with --person, for that member."),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Of this account (acc_…), which is nobody's in particular.")
    ] = None,
    ingest: Annotated[
        bool,
        typer.Option(
            "--ingest",
            help="For sending metrics, errors and feedback alone: what a DSN holds.",
        ),
    ] = False,
    zero_retention: Annotated[
        bool, typer.Option("--zero-retention", help="Keep no content of this key's sessions.")
    ] = False,
    name: Annotated[str, typer.Option(help="A name to recognise it by.")] = "key",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a key: of a new account, a person's or an organisation's. It is shown this once."""
    with reporting():
        if (plan is None) == (person is None and organisation is None and account is None):
            raise InputError(
                "a key belongs to a new account, or to one that is there.",
                hint="give --plan, or --person and --organisation, or --account",
            )
        arguments = {
            "plan": plan,
            "person": person,
            "organisation": organisation,
            "account": account,
            "ingest": ingest,
            "zero_retention": zero_retention,
            "name": name,
        }
        made = cast("dict[str, Any]", ask_one(home, "key.create", arguments, make=plan is not None))
        if as_json:
            print_json(made)
        else:
            say(made["key"])
            kept = "nothing is kept" if zero_retention else f"plan {made['plan']}"
            kept = "for sending alone" if ingest else kept
            console().print(
                f"[dim]{made['key_id']} of {made['account']}, {kept}. "
                "It is stored hashed: it can't be shown again.[/dim]"
            )


@app.command("list")
def list_keys(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Every key, without its secret."""
    with reporting():
        keys = cast("list[dict[str, Any]]", ask_one(home, "key.list"))
        if as_json:
            print_json(keys)
            return
        rows = [
            (
                k["key_id"],
                k["name"],
                k["account"],
                k["plan"],
                _OPENS.get(k["scope"], k["scope"]),
                "zero" if k["zero_retention"] else "by the policy",
                moment(k["created"]),
                moment(k["revoked"]) if k["revoked"] else "",
            )
            for k in keys
        ]
        console().print(
            table(
                ("key", "name", "account", "plan", "opens", "retention", "created", "revoked"), rows
            )
        )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="key_…, as in `bailee key list`.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Revoke a key, at once and for good."""
    with reporting():
        revoked = cast("dict[str, Any]", ask_one(home, "key.revoke", {"key_id": key_id}))
        if as_json:
            print_json(revoked)
        else:
            say(f"{key_id} is revoked since {moment(revoked['revoked'])}.")
