"""`bailee organisation service-account`: machines that sign in by a token of their CI provider."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import print_json, say
from bailee.errors import InputError
from bailee.shown import line

app = typer.Typer(
    help="Machines that sign in by a token of their CI provider.", no_args_is_help=True
)
Organisation = Annotated[str, typer.Argument(help="org_…, as in `bailee organisation list`.")]


@app.command()
def add(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    name: Annotated[str, typer.Argument(help="Its name.")],
    issuer: Annotated[
        str, typer.Option(help="Whose tokens count: https://token.actions.githubusercontent.com.")
    ],
    audience: Annotated[str, typer.Option(help="For whom they have to be: this gateway.")],
    claim: Annotated[
        list[str],
        typer.Option(help="A claim and its pattern: repository=acme/app, ref=refs/heads/*."),
    ],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make one, for the jobs that its claims name. Nobody gets a key: tokens last an hour."""
    with reporting():
        pairs = [one.partition("=") for one in claim]
        if any(not sign for _, sign, _ in pairs) or len({one[0] for one in pairs}) < len(pairs):
            raise InputError("a claim is written once, as name=pattern.")
        made = ask_one(
            home,
            "workload.add",
            {
                "organisation": organisation,
                "name": name,
                "issuer": issuer,
                "audience": audience,
                "claims": {one: pattern for one, _, pattern in pairs},
            },
        )
        if as_json:
            print_json(made)
            return
        _say(made)
        say(f"In its jobs: bailee login https://… --workload {made['id']} --audience {audience}")


@app.command("list")
@narrowed()
def list_accounts(
    organisation: Organisation,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """An organisation's."""
    with reporting():
        found = only.of(ask_several(home, "workload.list", {"organisation": organisation}))
        if as_json:
            print_json(found)
            return
        for one in found:
            _say(one)
        if not found:
            say("There are none.")


@app.command()
def remove(
    service_account: Annotated[str, typer.Argument(help="svc_…, as in `list`.")],
    home: PlaceOption = None,
) -> None:
    """Remove one; its tokens are good no more, at once."""
    with reporting():
        gone = ask_one(home, "workload.remove", {"id": service_account})
        say(f"{gone['id']} is no more, and {gone['key_id']} is revoked.")


def _say(one: Fields) -> None:
    say(f"{one['id']}  {line(one.text('name'))}  as {one['key_id']}")
    say(f"  tokens of {line(one.text('issuer'))} for {line(one.text('audience'))}")
    claims = one.part("claims")
    for name in claims:
        say(f"  {line(name)} = {line(str(claims[name]))}")
