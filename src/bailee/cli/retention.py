"""`bailee retention`: destroy what is due; show what is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import HomePlace, JsonOption, PlaceOption, ask_one, ask_pages, ask_several
from bailee.cli.show import console, moment, note, print_json, say, size, table
from bailee.errors import BaileeError
from bailee.json_values import text

app = typer.Typer(help="Retention: what is kept, and the end of it.", no_args_is_help=True)

_BAR = 40
_SNAPSHOT = (
    "A snapshot of the keys lives until {}: with it and a backup, what was destroyed since it was "
    "taken can be read again. bailee backup list says where it is."
)


@app.command()
def run(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Destroy what is due now, and reclaim its space. `bailee up` does this every few minutes."""
    with reporting():
        done = ask_one(home, "retention.run")
        if as_json:
            print_json(done)
            _raise(done.parts("failed"))
            return
        say(
            f"{_counted(done, 'sessions')} removed, {_counted(done, 'keks', 'keys')} destroyed, "
            f"{_counted(done, 'segments')} reclaimed."
        )
        if done["kept"]:
            note(f"{_counted(done, 'kept', 'sessions')} kept by who they are of: an act of theirs.")
        if done["waits"]:
            note(
                "What is due waits for what an earlier run left to be filed, 15 minutes at most: "
                "it may have gone on. Nobody is shown it."
            )
        if done["rotated"]:
            say("The root key was rotated: older copies of the keyring open none of it.")
            if until := ask_one(home, "retention.watch")["keys_until"]:
                note(_SNAPSHOT.format(moment(until)))
        _raise(done.parts("failed"))


def _raise(failed: list[Fields]) -> None:
    """End with what failed first, and name the others."""
    for one in failed[1:]:
        say(f"warning: the step {one['step']!r} failed: {one['message']}", err=True)
    for one in failed[:1]:
        message = f"the sweep's step {one['step']!r} failed: {one['message']}"
        raise BaileeError(message, code=one.text("code"), hint=text(one["hint"]) or None)


def _standing(home: HomePlace | None, *, as_json: bool) -> None:
    """Say what of the promise is not kept, on standard error; to a person, also when nothing is
    swept since no server runs.
    """
    watch = ask_one(home, "retention.watch")
    for reason in watch.texts("reasons"):
        say(f"warning: the server is not ready: {reason}", err=True)
    for alert in watch.texts("alerts"):
        say(f"warning: {alert}", err=True)
    steps = watch.parts("steps")
    for step in steps:
        if step["error"] is not None:
            since = moment(step["succeeded"]) if step["succeeded"] else "ever"
            say(
                f"warning: the sweep's step {step['step']!r} failed {step['failures']} times in a "
                f"row ({step['error']}); it has not succeeded since {since}",
                err=True,
            )
    if watch["recoverable_until"] and not as_json:
        until = moment(watch["recoverable_until"])
        note(f"What was destroyed can be recovered from older copies of the keyring until {until}.")
    if watch["keys_until"] is not None and not as_json:
        note(_SNAPSHOT.format(moment(watch["keys_until"])))
    if not watch["server"] and not as_json:
        last = next((step["succeeded"] for step in steps if step["step"] == "keys"), None)
        when = f"the last sweep was on {moment(last)}" if last else "there was none yet"
        note(f"No server runs, so nothing is swept: {when}.")


def _counted(done: Fields, name: str, what: str | None = None) -> str:
    what = what or name
    return f"1 {what[:-1]}" if done[name] == 1 else f"{done[name]} {what}"


@app.command()
def report(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """What is kept, by class, plan and the day it goes: as a table and as a picture. What keeps it
    from going on time is said on standard error.
    """
    with reporting():
        _standing(home, as_json=as_json)
        rows = ask_several(home, "retention.report")
        damaged = ask_several(home, "retention.damaged")
        for one in damaged:
            say(f"damaged: {one['where']}: {one['what']}", err=True)
        if as_json:
            print_json(rows)
            return
        clock = ask_one(home, "clock.show")
        if clock["step"] is not None:
            say(f"Mind the clock: {clock.part('step')['in_words']}")
        if damaged:
            say("hint: bailee verify checks all of the home", err=True)
        if not rows:
            say("Nothing is kept.")
            return
        most = max(row.number("sessions") for row in rows)
        lines = [
            (
                row["data_class"],
                row["plan"],
                row["expiry_day"],
                row["sessions"],
                row["kept"] or "",
                size(row.number("bytes")),
                "█" * max(1, round(_BAR * row.number("sessions") / most)),
            )
            for row in rows
        ]
        console().print(
            table(
                ("class", "plan", "goes on", "sessions", "kept by act", "stored", ""),
                lines,
                right=("sessions", "kept by act", "stored"),
            )
        )


@app.command()
def shred(
    reason: Annotated[str | None, typer.Option(help="Why; it is in the audit record.")] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make what was destroyed unrecoverable from older copies of the keyring, now: what it was
    under is wrapped anew, under a new root key, and the old one is destroyed. `bailee up` does
    this every night on which something was destroyed (`retention.shred_hours`).
    """
    with reporting():
        done = ask_one(home, "keyring.rotate", {"reason": reason} if reason else {})
        if as_json:
            print_json(done)
            return
        say(
            f"{_counted(done, 'replaced', 'keys')} replaced, {_counted(done, 'rewrapped', 'keys')} "
            f"wrapped anew under them; root generation {done['generation']} holds."
        )
        if done["recoverable_until"]:
            until = moment(done["recoverable_until"])
            say(f"The old root is to be destroyed, and can be brought back until {until}.")
        else:
            say("The old root is destroyed: older copies of the keyring open nothing of it.")
        if done["keys_until"]:
            say(_SNAPSHOT.format(moment(done["keys_until"])))
        if done["damaged"]:
            say(f"{done['damaged']} damaged keys were left aside: bailee retention report")


@app.command()
@narrowed("requested", falls=True)
def moves(only: Narrowing = ALL, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Sessions that follow a change of choice to their other period, and how far that has come."""
    with reporting():
        found = only.of(ask_pages(home, "retention.moves"))[::-1]
        if as_json:
            print_json(found)
            return
        rows = [
            (
                m["account"],
                moment(m["requested"]),
                m["state"],
                f"{m['seen']} of {max(m.number('total'), m.number('seen'))}",
                m["moved"],
            )
            for m in found
        ]
        console().print(
            table(("account", "since", "state", "looked at", "moved"), rows, right=("moved",))
        )


@app.command()
@narrowed("states.requested", falls=True)
def receipts(
    subject: Annotated[
        str | None, typer.Option(help="Only for what has this id, or for this key.")
    ] = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What was destroyed, and how far that has come."""
    with reporting():
        found = only.of(ask_pages(home, "retention.receipts", {"subject": subject}))[::-1]
        if as_json:
            print_json(found)
            return
        rows = [
            (
                r["receipt"],
                r["kind"],
                r["subject"],
                r["data_class"],
                r["by"],
                r["state"],
                moment(r.part("states")[r.text("state")]),
            )
            for r in found
        ]
        console().print(
            table(("receipt", "of", "subject", "class", "asked by", "state", "since"), rows)
        )
