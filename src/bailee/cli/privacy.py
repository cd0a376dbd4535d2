"""`bailee privacy`: a person's own choice about training, made with their own key."""

from __future__ import annotations

import os
from typing import Annotated, Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError

app = typer.Typer(help="Your choice about training.", no_args_is_help=True)
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
]


def _ask(operation: str, key: str | None, arguments: dict[str, object], home: PlaceOption) -> Any:
    presented = key or os.environ.get("BAILEE_API_KEY")
    if not presented:
        raise InputError(
            "only you can make this choice: it needs your API key.",
            code="authentication",
            hint="give it with --key or BAILEE_API_KEY",
        )
    return ask_one(home, operation, {"key": presented, **arguments})


def _say(state: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(state)
    else:
        say(f"training: {state['choice']} ({state['effect']} by {state['clause']})")
        if state["ask"]["effect"] == "ask":
            say(f"the choice is yours to make ({state['ask']['clause']}): allow or refuse")


@app.command()
def show(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """What you chose, and what follows from it."""
    with reporting():
        _say(cast("dict[str, Any]", _ask("privacy.show", key, {}, home)), as_json)


@app.command()
def allow(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Allow training on what you do from now on."""
    with reporting():
        _say(_ask("privacy.choose", key, {"choice": "allowed"}, home), as_json)


@app.command()
def refuse(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Refuse training."""
    with reporting():
        _say(_ask("privacy.choose", key, {"choice": "refused"}, home), as_json)


@app.command()
def history(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Every choice you made: when, on which notice, from what to what."""
    with reporting():
        records = cast("list[dict[str, Any]]", _ask("privacy.history", key, {}, home))
        if as_json:
            print_json(records)
            return
        rows = [
            (
                moment(r["at"]),
                r["purpose"],
                f"{r['old']} → {r['new']}",
                f"{r['notice']['version']} ({r['notice']['language']})",
                r["source"],
                r["record"],
            )
            for r in records
        ]
        columns = ("when", "for", "change", "notice", "from", "record")
        console().print(table(columns, rows))
