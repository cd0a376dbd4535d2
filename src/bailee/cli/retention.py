"""`bailee retention`: destroy what is due; show what is kept."""

from __future__ import annotations

from typing import Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption, ask_one
from bailee.cli.show import console, print_json, size, table

app = typer.Typer(help="Retention: what is kept, and the end of it.", no_args_is_help=True)

_BAR = 40


@app.command()
def run(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Destroy what is due now, and reclaim its space. `bailee up` does this every few minutes."""
    with reporting():
        done = cast("dict[str, Any]", ask_one(home, "retention.run"))
        if as_json:
            print_json(done)
            return
        print(
            f"{done['sessions']} sessions were due; {done['keys_destroyed']} keys destroyed, "
            f"{done['segments_reclaimed']} segments reclaimed ({size(done['bytes_reclaimed'])})."
        )
        if done["root_rotated"]:
            print("The root key was rotated: older copies of the keyring open none of it.")


@app.command()
def report(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """What is kept, by class, plan and the day it goes: as a table and as a picture."""
    with reporting():
        rows = cast("list[dict[str, Any]]", ask_one(home, "retention.report"))
        if as_json:
            print_json(rows)
            return
        if not rows:
            print("Nothing is kept.")
            return
        most = max(row["sessions"] for row in rows)
        lines = [
            (
                row["data_class"],
                row["plan"],
                row["goes_on"],
                str(row["sessions"]),
                size(row["bytes"]),
                "█" * max(1, round(_BAR * row["sessions"] / most)),
            )
            for row in rows
        ]
        console().print(
            table(
                ("class", "plan", "goes on", "sessions", "stored", ""),
                lines,
                right=("sessions", "stored"),
            )
        )
