"""`bailee keyring`: the root key, its rotation and its place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption, PlaceOption, ask_one
from bailee.cli.show import print_json, say
from bailee.home import find

app = typer.Typer(help="The keyring.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def rotate(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Rotate the root key: older copies of the keyring then open nothing that was destroyed."""
    with reporting():
        done = ask_one(home, "keyring.rotate")
        if as_json:
            print_json(done)
        else:
            say(
                f"root generation {done['generation']} holds, the ones before are destroyed: "
                "older copies of the keyring open nothing that was destroyed by now."
            )
            if done["damaged"]:
                say(f"{done['damaged']} damaged keys were left aside: bailee retention report")


@app.command()
def move(
    coming_from: Annotated[
        str, typer.Option("--from", help="Where the root key was, as keyring.root named it.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it is in the audit record.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Move the root key to where keyring.root says from now on, and destroy the old one.

    No server may run. Broken off, it goes on when it is called again in the same words; until then
    nothing else opens this home.
    """
    with reporting():
        from bailee.app.root_moving import move_root

        done = move_root(find(home), coming_from, reason)
        if as_json:
            print_json(asdict(done))
            return
        say(f"The root key is of the driver {done.driver}: generation {done.generation} holds.")
        if done.lag_days:
            say(f"The old one can be brought back for {done.lag_days:g} days, and then no more.")
        else:
            say("The old one is destroyed.")
