"""`bailee hold`: legal holds. What is held is not destroyed, and is read for its matter alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import AsOption, JsonOption, PlaceOption, ask_one, ask_several, operate
from bailee.cli.show import console, moment, print_json, say, table, write_text

app = typer.Typer(
    help="Legal holds: sessions, reports and what cloud sessions left, whose destruction waits.",
    no_args_is_help=True,
)


@app.command()
def place(  # noqa: PLR0917 - each is an option
    reason: Annotated[str, typer.Option(help="The matter; shown to operators only.")],
    session: Annotated[
        str | None, typer.Option(help="A session, as in `bailee sessions list`.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help="A report, as in `bailee feedback list`.")
    ] = None,
    cloud_session: Annotated[
        str | None, typer.Option(help="A cloud session, as in `bailee cloud list`.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Hold a session, a report, or what a cloud session left: neither time nor a withdrawal nor an
    erasure destroys it until the hold is released.
    """
    with reporting():
        named = {"session": session, "report": report, "cloud_session": cloud_session}
        hold = ask_one(home, "hold.place", {"reason": reason, **named})
        if as_json:
            print_json(hold)
        else:
            say(f"{hold['hold']} on {_held(hold)} is {hold['state']}.")


@app.command()
def read(
    hold: Annotated[str, typer.Argument(help="hold_…, as in `bailee hold list`.")],
    reason: Annotated[str, typer.Option(help="What it is read for; it goes on record first.")],
    output: Annotated[
        typer.FileTextWrite | None, typer.Option("--output", "-o", help="Else standard output.")
    ] = None,
    as_: AsOption = None,
    _json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What a hold keeps, as JSON Lines, also past its time: for the matter it is held for."""
    with reporting():
        for item in operate(home, "hold.read", {"id": hold, "reason": reason, "as": as_}):
            if output is None:
                write_text(str(item), as_json=True)
            else:
                output.write(str(item))


@app.command()
def release(
    hold: Annotated[str, typer.Argument(help="hold_…, as in `bailee hold list`.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Release a hold. What it deferred, and no other hold defers, goes on at once."""
    with reporting():
        done = ask_one(home, "hold.release", {"id": hold})
        if as_json:
            print_json(done)
            return
        say(f"{done['hold']} on {_held(done)} is {done['state']}.")
        for receipt in done.parts("driven"):
            say(f"receipt {receipt['receipt']} ({receipt['kind']}): {receipt['state']}")


@app.command("list")
@narrowed("requested")
def list_holds(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Every hold, released ones too."""
    with reporting():
        holds = only.of(ask_several(home, "hold.list"))
        if as_json:
            print_json(holds)
            return
        rows = [
            (h["hold"], _held(h), h["state"], moment(h["requested"]), h["reason"]) for h in holds
        ]
        console().print(table(("hold", "on", "state", "since", "reason"), rows))


def _held(hold: Fields) -> str:
    """What a hold is on, in words."""
    found = (name for name in ("session", "report", "cloud_session") if hold[name] is not None)
    name = next(found)
    return f"{name.replace('_', ' ')} {hold[name]}"
