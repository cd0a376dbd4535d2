"""`bailee keyring`: rotation of the root key."""

from __future__ import annotations

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import print_json, say

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
