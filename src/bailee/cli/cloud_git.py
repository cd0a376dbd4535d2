"""`bailee cloud git`: the Git connections that cloud sessions clone and push with.

A token, password or private key comes from standard input or an environment variable: an argument
would be seen by every other program of the machine.
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import console, moment, note, print_json, say, table
from bailee.errors import InputError

app = typer.Typer(
    name="git",
    help="Git connections: what cloud sessions clone and push with.",
    no_args_is_help=True,
)
AccountOption = Annotated[
    str | None, typer.Option(help="Whose (acc_…); else the account of BAILEE_API_KEY.")
]


@app.command()
def add(  # noqa: PLR0917 - each is an option
    place: Annotated[str, typer.Argument(help="A host, or one and an owner: github.com/acme.")],
    kind: Annotated[
        str, typer.Option(help="github-app, github-token, gitlab-token or basic.")
    ] = "github-token",
    user: Annotated[str | None, typer.Option(help="The user name, for basic.")] = None,
    app_id: Annotated[str | None, typer.Option(help="The app's id, for github-app.")] = None,
    installation_id: Annotated[
        str | None, typer.Option(help="The number of its installation, for github-app.")
    ] = None,
    secret_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the secret; else standard input."),
    ] = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Store a token, password or app key. It is asked for, or read from standard input."""
    with reporting():
        arguments: dict[str, object] = {
            "place": place,
            "kind": kind,
            "user": user,
            "app_id": app_id,
            "installation_id": installation_id,
            "secret": _secret(kind, secret_env),
        }
        added = ask_one(home, "cloud.git.add", whose(account) | arguments)
        if as_json:
            print_json(added)
        else:
            say(f"{added['id']} ({added['kind']}) for {added['place']}.")
            note("It stays on this host, sealed; sessions never see it.")


@app.command("list")
@narrowed("created")
def list_connections(
    account: AccountOption = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The Git connections of an account, without their secrets."""
    with reporting():
        found = only.of(ask_several(home, "cloud.git.list", whose(account)))
        if as_json:
            print_json(found)
            return
        rows = [(c["id"], c["kind"], c["place"], moment(c["created"]), c["account"]) for c in found]
        console().print(table(("connection", "kind", "place", "since", "account"), rows))


@app.command()
def remove(
    connection: Annotated[str, typer.Argument(help="gitc_…, as in `bailee cloud git list`.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Forget a Git connection: its key is destroyed."""
    with reporting():
        removed = ask_one(home, "cloud.git.remove", whose(None) | {"id": connection})
        if as_json:
            print_json(removed)
        else:
            say(f"{removed['id']} for {removed['place']} is forgotten.")


def whose(account: str | None) -> dict[str, object]:
    """The arguments that say whose account is meant, and who asks."""
    whose: dict[str, object] = {"account": account}
    key = os.environ.get("BAILEE_API_KEY")
    return whose | {"key": key} if key else whose


def _secret(kind: str, variable: str | None) -> str:
    """The secret, from where nobody else sees it.

    Raises:
        InputError: there is none.
    """
    if variable is not None:
        found = os.environ.get(variable, "")
    elif kind != "github-app" and sys.stdin.isatty():
        found = getpass.getpass("token or password: ", stream=sys.stderr)
    else:
        found = sys.stdin.read(64 << 10)
    if not found.strip():
        raise InputError(
            "there is no token, password or key.",
            hint="give it on standard input, or name a variable with --secret-env",
        )
    return found.strip() + ("\n" if kind == "github-app" else "")
