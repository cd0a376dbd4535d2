"""`bailee promises`: whether each promise is kept now, and how that is known."""

from __future__ import annotations

from typing import Final

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json, table
from bailee.words import words

_BROKEN: Final = 1


def promises(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Whether each promise of a home is kept now, and how that is known. Exit status 1: one is not
    kept.
    """
    with reporting():
        found = ask_one(home, "promises")
    standings = found.parts("promises")
    if as_json:
        print_json(found)
    else:
        t = words("en", "terminal")
        rows = [
            (
                t(f"promise.stands_{one['standing']}"),
                t(f"promise.{one['promise']}"),
                t(f"promise.why_{one['why']}", count=one["count"])
                + (f" ({moment(one['since'])})" if one["since"] else ""),
            )
            for one in standings
        ]
        console().print(table(("now", "promise", "how that is known"), rows))
    if any(one["standing"] == "broken" for one in standings):
        raise typer.Exit(_BROKEN)
