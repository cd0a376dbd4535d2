"""`bailee config`: every setting, its value, and where the value came from."""

from __future__ import annotations

import os

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption
from bailee.cli.show import console, print_json, say, table
from bailee.config import SETTINGS, load
from bailee.home import find

app = typer.Typer(help="Settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Every setting, its value, and where it came from."""
    with reporting():
        place = find(home)
        settings = load(place.settings_file, os.environ, {})
        if as_json:
            print_json(
                {
                    s.name: {"value": settings.values[s.name], "from": settings.origin[s.name]}
                    for s in SETTINGS
                }
            )
            return
        rows = [
            (
                s.name,
                "not set" if settings.values[s.name] is None else str(settings.values[s.name]),
                settings.origin[s.name],
                s.meaning,
            )
            for s in SETTINGS
        ]
        say(f"home: {place.path}")
        console().print(table(("setting", "value", "from", "meaning"), rows))
