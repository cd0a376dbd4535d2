"""`bailee sessions`: what is kept of each session, why, until when; and its deletion."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.cli.answers import Fields, fields
from bailee.cli.days import end_of_day
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.own_key import KeyOption, own_key
from bailee.cli.private_files import write_private
from bailee.cli.reach import (
    AsOption,
    JsonOption,
    PlaceOption,
    ask_one,
    ask_pages,
    ask_several,
    operate,
)
from bailee.cli.show import console, moment, note, print_json, say, table, write_text
from bailee.cli.transcript import being_filed, print_branch, print_transcript, ruling, why_as_bytes
from bailee.errors import InputError
from bailee.json_values import whole

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Sessions: what is kept, why, until when.", no_args_is_help=True)
_SHOWN = 200
_FOUND_AT_ONCE = 50
_ACT = "whose it is keeps a session"
Session = Annotated[str, typer.Argument(help="The session's id, as in `bailee sessions list`.")]


OwnOption = Annotated[
    str | None, typer.Option("--key", help="Your API key, for yours alone.", show_default=False)
]
ReasonOption = Annotated[str | None, typer.Option(help="Why; it is recorded.", show_default=False)]


@app.command("list")
@narrowed("last_activity", falls=True)
def list_sessions(
    only: Narrowing = ALL,
    key: OwnOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The sessions that can be read now, latest first. With what they are told by (a title, the
    program, the folder's name) for whose they are: with your key.
    """
    with reporting():
        waits = ask_one(home, "sessions.unfiled", {"key": key, "wait": True})
        said = being_filed(waits)  # of what was there before the list
        asked = ask_pages(home, "sessions.list", {"key": key})
        sessions = only.of(asked, limit=None if as_json else _SHOWN)
        if as_json:
            print_json(sessions)
            if said:
                note(f"Being filed, and not in the list yet: {said}.", err=True)
            return
        console().print(_told_table(sessions) if key else _table(sessions))
        if only.everything and len(sessions) == _SHOWN:
            (total,) = operate(home, "sessions.count", {"key": key})
            if whole(total) > _SHOWN:
                note(f"The latest {_SHOWN} of {total}. More: --limit N; all: --json.")
        if said:
            console().print(f"Being filed, and not in the list yet: {said}.", style="dim")
        for one in ask_several(home, "sessions.unkept", {"key": key}):
            exchanges = one["exchanges"]
            what = "1 exchange" if exchanges == 1 else f"{exchanges} exchanges"
            note(
                f"{one['account']}: {what} continued deleted sessions, the last on "
                f"{moment(one['last'])}; not kept, by {one['clause']}. A new session is kept."
            )


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="What was said: all of these words.")],
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="At most so many of the latest.")
    ] = 20,
    account: Annotated[
        str | None,
        typer.Option(help="Whose, if not your own: an account's id.", show_default=False),
    ] = None,
    reason: ReasonOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Your sessions in which all these words were said, the latest first. Case does not count, and
    of names in programs each part is a word.

    What is another's needs its account and a reason; that it was searched goes on record, the words
    do not.
    """
    with reporting():
        asked = {
            "words": " ".join(words),
            "owner": account,
            "reason": reason,
            "key": key or (None if account else os.environ.get("BAILEE_API_KEY")),
        }
        found: list[Fields] = []
        searched = unindexed = 0
        after: str | None = None
        while len(found) < limit:
            at_once = min(limit - len(found), _FOUND_AT_ONCE)
            page = ask_one(home, "sessions.search", {**asked, "limit": at_once, "after": after})
            found += page.parts("items")
            searched += page.number("searched")
            unindexed += page.number("unindexed")
            after = None if page["next"] is None else page.text("next")
            if after is None:
                break
        if as_json:
            print_json(found)
            return
        rows = [
            (one["id"], moment(one["last_activity"]), told(one), one["excerpt"]) for one in found
        ]
        if rows:
            console().print(table(("session", "last activity", "about", "said"), rows))
        _say_how_far(len(found), searched, unindexed, more=after is not None)


def _table(sessions: list[Fields]) -> Table:
    rows = [
        (
            s["id"],
            s["plan"],
            s["channel"],
            moment(s["last_activity"]),
            s["exchanges"],
            _end(s),
            ruling(s),
            "trained on" if s.part("training")["effect"] == "allow" else "not trained on",
        )
        for s in sessions
    ]
    columns = (
        "session", "plan", "channel", "last activity", "exchanges", "kept until", "by clause",
        "training",
    )  # fmt: skip
    return table(columns, rows, right=("exchanges",))


def _told_table(sessions: list[Fields]) -> Table:
    rows = [
        (s["id"], moment(s["last_activity"]), told(s), s["exchanges"], _end(s)) for s in sessions
    ]
    columns = ("session", "last activity", "about", "exchanges", "kept until")
    return table(columns, rows, right=("exchanges",))


def _say_how_far(found: int, searched: int, unindexed: int, *, more: bool) -> None:
    sessions = "1 session" if searched == 1 else f"{searched} sessions"
    said = f"{found} found, in the newest {sessions}" if more else f"{found} found, in {sessions}"
    note(f"{said}. More: --limit N." if more else f"{said}.")
    if unindexed:
        note(f"Of {unindexed} of these something can't be found yet; ask again in a minute.")


def told(session: Fields) -> str:
    """What a session is told by, in a line; "" where that is not known, or not theirs to know."""
    if session["about"] is None:
        return ""
    about = session.part("about")
    beside = ", ".join(one for one in (about.text("client"), about.text("folder")) if one)
    return f"{about.text('title')}{f' ({beside})' if beside else ''}".strip()


def _end(session: Fields) -> str:
    told = moment(session["kept_until"])
    if session["kept"] is not None:
        told += f", kept by {session.part('kept')['by']}"
    return told + (", held" if session["held"] else "")


@app.command()
def going(
    days: Annotated[int, typer.Option(min=1, max=366, help="Within so many days.")] = 7,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The sessions that go by time within a week, first those that go first."""
    with reporting():
        found = ask_one(home, "sessions.going", {"days": days})
        if as_json:
            print_json(found)
            return
        shown = found.parts("sessions")
        if not shown:
            say(f"No session goes by time until {moment(found['until'])}.")
            return
        rows = [(s["id"], moment(s["last_activity"]), _end(s), ruling(s)) for s in shown]
        console().print(table(("session", "last activity", "goes on", "by clause"), rows))
        if whole(found["total"]) > len(shown):
            note(f"The first {len(shown)} of {found['total']}.")
        note("Whose they are can keep one: bailee sessions keep SESSION")


@app.command()
def keep(
    session: Session,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Through this day, like 2027-01-31."),
    ] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Keep a session of yours beyond its time, until a day; `release` takes it back."""
    with reporting():
        end = None if until is None else end_of_day(until).isoformat()
        asked = {"key": own_key(key, _ACT), "id": session, "until": end}
        kept = ask_one(home, "sessions.keep", asked)
        if as_json:
            print_json(kept)
            return
        act = kept.part("kept")
        say(f"{session} is kept until {moment(act['until'])}, by {act['clause']}.")
        if kept["kept_until"] != act["until"]:
            note(f"By its own time it stays longer: until {moment(kept['kept_until'])}.")
        note(f"To take it back: bailee sessions release {session}")


@app.command()
def release(
    session: Session,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Take back that a session is kept: it goes by its own time again, at once if that is over."""
    with reporting():
        asked = {"key": own_key(key, _ACT), "id": session}
        (released,) = operate(home, "sessions.release", asked)
        if as_json:
            print_json(released)
        elif released is None:
            say(f"{session} is no longer kept: its own time is over, and nobody can read it.")
        else:
            until = moment(fields(released)["kept_until"])
            say(f"{session} is no longer kept: it goes by its own time, on {until}.")


@app.command()
def show(
    session: Session,
    *,
    reason: ReasonOption = None,
    as_: AsOption = None,
    branch: Annotated[
        int | None,
        typer.Option(help="That branch alone, by its number.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Branches too, long texts, and what else exchanges say.")
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """A session's transcript, rebuilt from what is kept: the main conversation, and a line for each
    branch (taken back, repeated, aside, of an agent). That it was read goes on record.
    """
    with reporting():
        arguments = {"id": session, "reason": reason, "as": as_}
        transcript = ask_one(home, "sessions.show", arguments)
        if as_json:
            print_json(transcript)
        elif branch is not None:
            print_branch(transcript, branch)
        else:
            print_transcript(transcript, whole_of_it=everything)


@app.command()
def raw(
    session: Session,
    exchange: Annotated[
        int | None,
        typer.Argument(help="The exchange's number. Without: which there are.", show_default=False),
    ] = None,
    *,
    side: Annotated[
        str | None,
        typer.Option(help="request or answer, where both are kept so.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Else standard output, in a pipe.")
    ] = None,
    reason: ReasonOption = None,
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What of a session was not understood, as the bytes that came: to a file, exactly. That it was
    read goes on record.
    """
    with reporting():
        if exchange is None:
            kept = ask_one(home, "sessions.show", {"id": session, "reason": reason, "as": as_})
            _list_raw(kept.parts("as_bytes"), as_json=as_json)
            return
        if output is None and sys.stdout.isatty():
            raise InputError("bytes are for a file.", hint="name one with -o")
        asked = {"id": session, "exchange": exchange, "side": side, "reason": reason, "as": as_}
        pieces = (
            base64.b64decode(fields(item).text("data"))
            for item in operate(home, "sessions.raw", asked)
        )
        if output is None:
            sys.stdout.buffer.writelines(pieces)
            return
        size = write_private(output, pieces)
        if as_json:
            print_json(
                {"session": session, "exchange": exchange, "file": str(output), "bytes": size}
            )
        else:
            say(f"{output} is written ({size} bytes).")


def _list_raw(kept: list[Fields], *, as_json: bool) -> None:
    if as_json:
        print_json(kept)
        return
    if not kept:
        say("Everything in it was understood: nothing of it is kept as bytes.")
        return
    rows = [
        (one["number"], ", ".join(one.texts("sides")), one["size"], why_as_bytes(one))
        for one in kept
    ]
    columns = ("exchange", "side", "bytes", "why")
    console().print(table(columns, rows, right=("exchange", "bytes")))


@app.command()
def export(
    session: Session,
    reason: ReasonOption = None,
    as_: AsOption = None,
    output: Annotated[
        typer.FileTextWrite | None, typer.Option("--output", "-o", help="Else standard output.")
    ] = None,
    _json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """A session as JSON Lines: the session, then each exchange as it was sent and received. That it
    was read goes on record.
    """
    with reporting():
        arguments = {"id": session, "reason": reason, "as": as_}
        for item in operate(home, "sessions.export", arguments):
            if output is None:
                write_text(str(item), as_json=True)
            else:
                output.write(str(item))


@app.command()
def delete(session: Session, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Delete a session now: its key is destroyed. Prints the receipt."""
    with reporting():
        receipt = ask_one(home, "sessions.delete", {"id": session})
        if as_json:
            print_json(receipt)
            return
        say(f"{session} is deleted. Receipt {receipt['receipt']}:")
        rows = [(state, moment(at)) for state, at in receipt.part("states").items()]
        console().print(table(("state", "since"), rows))
        note(f"still to come: {', '.join(receipt.texts('to_come'))}")
        clause = receipt.part("resumed")["clause"]
        note(f"What goes on with it is not kept, by {clause}. A new session is kept.")
