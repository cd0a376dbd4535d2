"""`bailee privacy`: a person's own choice about training, made with their own key."""

from __future__ import annotations

import typer

from bailee.cli.answers import fields, fields_of
from bailee.cli.errors import reporting
from bailee.cli.own_key import KeyOption, own_key
from bailee.cli.reach import JsonOption, PlaceOption, operate
from bailee.cli.show import console, moment, print_json, say, table
from bailee.json_values import Json, elements

app = typer.Typer(help="Your choice about training.", no_args_is_help=True)


def _ask(operation: str, key: str | None, arguments: dict[str, object], home: PlaceOption) -> Json:
    presented = own_key(key, "only you can make this choice")
    (item,) = operate(home, operation, {"key": presented, **arguments})
    return item


def _say(answered: Json, as_json: bool) -> None:
    state = fields(answered)
    if as_json:
        print_json(state)
    else:
        say(f"training: {state['choice']} ({state['effect']} by {state['clause']})")
        ask = state.part("ask")
        if ask["effect"] != "skip":
            say(f"the choice is yours to make ({ask['clause']}): allow or refuse")


@app.command()
def show(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """What you chose, and what follows from it."""
    with reporting():
        _say(_ask("privacy.show", key, {}, home), as_json)


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
def exports(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """The training datasets that your sessions are in."""
    with reporting():
        found = fields_of(elements(_ask("privacy.exports", key, {}, home)))
        if as_json:
            print_json(found)
            return
        rows = [
            (one["export"], moment(one["finished"]), one["reason"], one["sessions"], one["rows"])
            for one in found
        ]
        columns = ("export", "made", "for", "sessions", "rows")
        console().print(table(columns, rows, right=("sessions", "rows")))


@app.command()
def history(key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Every choice you made: when, on which notice, from what to what."""
    with reporting():
        records = fields_of(elements(_ask("privacy.history", key, {}, home)))
        if as_json:
            print_json(records)
            return
        rows = [
            (
                moment(r["at"]),
                r["purpose"],
                f"{r['old']} → {r['new']}",
                "{version} ({language})".format_map(r.part("notice")),
                r["source"],
                r["record"],
            )
            for r in records
        ]
        columns = ("when", "for", "change", "notice", "from", "record")
        console().print(table(columns, rows))
