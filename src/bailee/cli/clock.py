"""`bailee clock`: the home's time, and a step of the machine's clock."""

from __future__ import annotations

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import moment, print_json, say

app = typer.Typer(help="The time of a home.", no_args_is_help=True)


@app.command()
def show(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """The home's time, and whether the machine's clock has stepped away from it."""
    with reporting():
        state = ask_one(home, "clock.show")
        if as_json:
            print_json(state)
            return
        say(f"This home's time is {moment(state['now'])}.")
        if state["step"] is not None:
            words = state.part("step").text("in_words")
            say(words[0].upper() + words[1:])
        elif state["minded"]:
            say("The machine's clock agrees with it.")
        else:
            say("A test sets it.")


@app.command()
def confirm(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Say that the machine's clock is right although it has stepped: the home goes by it from now
    on. What it makes due goes with the next sweep; what was past its time stays unreadable.
    """
    with reporting():
        done = ask_one(home, "clock.confirm")
        if as_json:
            print_json(done)
            return
        say(f"This home's time is now {moment(done['now'])}.")
