"""`bailee errors`: what failed in clients, grouped into issues."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, print_json, say, table

app = typer.Typer(help="Errors of clients, grouped into issues.", no_args_is_help=True)
IssueArgument = Annotated[str, typer.Argument(help="The issue's id, as in `bailee errors list`.")]
_BARS = " ▁▂▃▄▅▆▇█"


@app.command("list")
@narrowed("last_seen", falls=True)
def list_issues(
    state: Annotated[str | None, typer.Option(help="Only open, resolved or muted ones.")] = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The issues, the one that was seen last first."""
    with reporting():
        issues = only.of(ask_pages(home, "errors.list", {"state": state}))
        if as_json:
            print_json(issues)
            return
        rows = [
            (
                i["id"],
                i["type"],
                i["where"] or "–",
                "returned" if i["regressed"] else i["state"],
                i["count"],
                _trend(i.parts("trend")),
                moment(i["first_seen"]),
                moment(i["last_seen"]),
                ", ".join(i.texts("releases")[-3:]) or "–",
            )
            for i in issues
        ]
        columns = (
            "issue", "type", "where", "state", "events", "14 days", "first seen", "last seen",
            "releases",
        )  # fmt: skip
        console().print(table(columns, rows, right=("events",)))


@app.command()
def show(issue: IssueArgument, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """One issue: its stack, where it was seen, and when."""
    with reporting():
        found = ask_one(home, "errors.show", {"id": issue})
        if as_json:
            print_json(found)
            return
        out = console()
        say(f"{found['type']} in {found['where'] or 'unnamed code'}")
        say(
            f"{found['state']}, {found['count']} events, "
            f"{moment(found['first_seen'])} to {moment(found['last_seen'])}"
        )
        rows = [
            (f["module"] or "–", f["function"] or "–", f["line"] or "–")
            for f in found.parts("frames")
        ]
        out.print(table(("module", "function", "line"), rows, right=("line",)))
        by = found.part("by")
        for field in by:
            if counts := by.part(field):
                say(f"{field}: " + ", ".join(f"{k} ({n})" for k, n in counts.items()))


@app.command()
def resolve(
    issue: IssueArgument,
    release: Annotated[
        str | None,
        typer.Option("--in", help="The release that mends it; earlier ones don't count."),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """It is mended. It opens again by itself when it comes again."""
    _set(issue, "resolved", as_json, home, release)


@app.command()
def mute(issue: IssueArgument, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Keep counting it, without mentioning it again."""
    _set(issue, "muted", as_json, home)


@app.command()
def reopen(issue: IssueArgument, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Reopen a report."""
    _set(issue, "open", as_json, home)


def _set(
    issue: str, state: str, as_json: bool, home: PlaceOption, release: str | None = None
) -> None:
    with reporting():
        arguments = {"id": issue, "state": state, "resolved_in": release}
        done = ask_one(home, "errors.set", arguments)
        if as_json:
            print_json(done)
        else:
            say(f"{done['id']} is {done['state']}.")


def _trend(days: list[Fields]) -> str:
    counts = [day.number("count") for day in days]
    most = max(counts, default=0) or 1
    return "".join(_BARS[-(-count * 8 // most)] for count in counts)
