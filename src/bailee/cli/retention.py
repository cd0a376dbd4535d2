"""`bailee retention`: destroy what is due; show what is kept."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption, ask_one
from bailee.cli.show import console, moment, print_json, say, size, table

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
        say(
            f"{_counted(done['sessions'], 'session')} removed, {_counted(done['keks'], 'key')} "
            f"destroyed, {_counted(done['segments'], 'segment')} reclaimed."
        )
        if done["rotated"]:
            say("The root key was rotated: older copies of the keyring open none of it.")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@app.command()
def report(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """What is kept, by class, plan and the day it goes: as a table and as a picture."""
    with reporting():
        rows = cast("list[dict[str, Any]]", ask_one(home, "retention.report"))
        if as_json:
            print_json(rows)
            return
        clock = cast("dict[str, Any]", ask_one(home, "clock.show"))
        if clock["step"] is not None:
            say(f"Mind the clock: {clock['step']['in_words']}")
        if not rows:
            say("Nothing is kept.")
            return
        most = max(row["sessions"] for row in rows)
        lines = [
            (
                row["data_class"],
                row["plan"],
                row["expiry_day"],
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


@app.command()
def moves(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Sessions that follow a change of choice to their other period, and how far that has come."""
    with reporting():
        found = cast("list[dict[str, Any]]", ask_one(home, "retention.moves"))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                m["account"],
                moment(m["requested"]),
                m["state"],
                f"{m['seen']} of {max(m['total'], m['seen'])}",
                str(m["moved"]),
            )
            for m in found
        ]
        console().print(
            table(("account", "since", "state", "looked at", "moved"), rows, right=("moved",))
        )


@app.command()
def receipts(
    subject: Annotated[str | None, typer.Option(help="Only for this session or key.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """What was destroyed, and how far that has come."""
    with reporting():
        found = cast(
            "list[dict[str, Any]]", ask_one(home, "retention.receipts", {"subject": subject})
        )
        if as_json:
            print_json(found)
            return
        rows = [
            (r["receipt"], r["kind"], r["subject"], r["state"], moment(r["states"][r["state"]]))
            for r in found
        ]
        console().print(table(("receipt", "of", "subject", "state", "since"), rows))
