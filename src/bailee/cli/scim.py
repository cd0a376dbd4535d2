"""`bailee organisation scim`: tokens by which a provider makes and ends people here."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import moment, print_json, say

app = typer.Typer(
    help="Tokens by which a provider makes and ends people (SCIM).", no_args_is_help=True
)
Organisation = Annotated[str, typer.Argument(help="org_…, as in `bailee organisation list`.")]


@app.command()
def add(organisation: Organisation, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Make one; it is shown once."""
    with reporting():
        made = ask_one(home, "scim.add", {"organisation": organisation})
        if as_json:
            print_json(made)
            return
        say(f"{made['id']} is good until it is removed.")
        say(f"Token:   {made['token']}")
        say(f"Address: the console's, then {made['path']}")


@app.command("list")
@narrowed("created")
def list_tokens(
    organisation: Organisation,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """An organisation's, with when each was used last."""
    with reporting():
        found = only.of(ask_several(home, "scim.list", {"organisation": organisation}))
        if as_json:
            print_json(found)
            return
        for one in found:
            say(_line(one))
        if not found:
            say("There are none.")


@app.command()
def remove(
    token: Annotated[str, typer.Argument(help="prv_…, as in `list`.")],
    home: PlaceOption = None,
) -> None:
    """End one, at once. Whom it made stays."""
    with reporting():
        gone = ask_one(home, "scim.remove", {"id": token})
        say(f"{gone['id']} is good no more.")


def _line(one: Fields) -> str:
    used = f"used {moment(one['used'])}" if one["used"] else "never used"
    return f"{one['id']}  made {moment(one['created'])}, {used}"
