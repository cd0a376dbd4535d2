"""`bailee verify`: a whole home is checked, and what is wrong is named."""

from __future__ import annotations

from typing import Final

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import print_json, say
from bailee.errors import CODES

_DAMAGED: Final = CODES["tampered"].exit_status


def verify(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Check a whole home: its databases, keys, rows, records, receipts, holds, spool and log."""
    with reporting():
        found = ask_one(home, "verify")
    damaged = found.parts("damaged")
    if as_json:
        print_json(found)
    else:
        for one in damaged:
            say(f"{one['where']}: {one['what']}")
        checked = found.part("checked")
        looked = ", ".join(f"{checked[kind]} {kind}" for kind in sorted(checked))
        say(f"{len(damaged) or 'Nothing'} damaged. Checked: {looked}.")
        if damaged:
            say(
                "hint: restore from a backup; it counts for nothing until then, all else goes on",
                err=True,
            )
    if damaged:
        raise typer.Exit(_DAMAGED)
