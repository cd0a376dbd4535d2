"""`bailee hold`: legal holds. What is held is not destroyed, and readable no longer than else."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json, say, table

app = typer.Typer(help="Legal holds: sessions whose destruction is deferred.", no_args_is_help=True)


@app.command()
def place(
    session: Annotated[str, typer.Option(help="The session, as in `bailee sessions list`.")],
    reason: Annotated[str, typer.Option(help="The matter; shown to operators only.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Hold a session: neither time nor an erasure destroys it until the hold is released."""
    with reporting():
        arguments = {"session": session, "reason": reason}
        hold = cast("dict[str, Any]", ask_one(home, "hold.place", arguments))
        if as_json:
            print_json(hold)
        else:
            say(f"{hold['hold']} on session {hold['session']} is {hold['state']}.")


@app.command()
def release(
    hold: Annotated[str, typer.Argument(help="hold_…, as in `bailee hold list`.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Release a hold. What it deferred, and no other hold defers, goes on at once."""
    with reporting():
        done = cast("dict[str, Any]", ask_one(home, "hold.release", {"id": hold}))
        if as_json:
            print_json(done)
            return
        say(f"{done['hold']} on session {done['session']} is {done['state']}.")
        for receipt in done["driven"]:
            say(f"receipt {receipt['receipt']} ({receipt['kind']}): {receipt['state']}")


@app.command("list")
def list_holds(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Every hold, released ones too."""
    with reporting():
        holds = cast("list[dict[str, Any]]", ask_one(home, "hold.list"))
        if as_json:
            print_json(holds)
            return
        rows = [
            (h["hold"], h["session"], h["state"], moment(h["requested"]), h["reason"])
            for h in holds
        ]
        console().print(table(("hold", "session", "state", "since", "reason"), rows))
