"""`bailee limits requests`, `grant` and `deny`: what members ask for beyond their limits."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import AsOption, JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, print_json, say, table
from bailee.money import dollars, micro

RequestArgument = Annotated[
    str, typer.Argument(help="The request, as in `bailee limits requests`.")
]


@narrowed("asked", falls=True)
def list_requests(  # noqa: PLR0917 - each is an option
    of: Annotated[
        str | None,
        typer.Option(help="An organisation (org_…); else all in which you may decide."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    own: Annotated[bool, typer.Option("--own", help="Those that you made yourself.")] = False,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Members who ask for more than their limit allows, the newest first."""
    with reporting():
        asked = {
            **({} if of is None else {"organisation": of}),
            **({} if own or of is not None else {"decidable": True}),
            **({} if every else {"pending": True}),
        }
        found = only.of(ask_pages(home, "increase.list", asked))
        if as_json:
            print_json(found)
            return
        if not found:
            say("Nobody asks for more." if not every else "Nobody has asked for more.")
            return
        rows = [
            (
                one["id"],
                one["email"] or one["person"],
                one["organisation"],
                _amount(one, "amount"),
                moment(one["asked"]),
                _became(one),
            )
            for one in found
        ]
        columns = ("request", "member", "organisation", "asks for", "asked", "state")
        console().print(table(columns, rows, right=("asks for",)))


def grant(  # noqa: PLR0917 - each is an option
    request: RequestArgument,
    money: Annotated[
        str | None, typer.Option(help="US dollars: 20 or 0.50; else as much as was asked for.")
    ] = None,
    per: Annotated[
        str | None, typer.Option(help="day, week or month (UTC); else what was asked for.")
    ] = None,
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Grant a request: the member's own limit from then on, for their next request."""
    with reporting():
        given = {
            "id": request, "as": as_,
            **({} if money is None else {"amount": micro(money)}),
            **({} if per is None else {"per": per}),
        }  # fmt: skip
        done = ask_one(home, "increase.approve", given)
        if as_json:
            print_json(done)
        else:
            who = done["email"] or done["person"]
            say(f"{done['id']}: {who} has {_amount(done, 'granted')}.")


def deny(
    request: RequestArgument,
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Deny a request: the member's limit stays."""
    with reporting():
        done = ask_one(home, "increase.deny", {"id": request, "as": as_})
        if as_json:
            print_json(done)
        else:
            say(f"{done['id']}: denied.")


def _amount(one: Fields, name: str) -> str:
    return f"{dollars(one.number(name))} a {one['per']}"


def _became(one: Fields) -> str:
    if one["granted"] is None:
        return str(one["state"])
    return f"{one['state']}: {dollars(one.number('granted'))}"
