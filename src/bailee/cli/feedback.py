"""`bailee feedback`: bug reports, for whoever sent one and for who triages them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import AsOption, HomePlace, JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, note, print_json, say, size, table
from bailee.errors import InputError
from bailee.shown import line

app = typer.Typer(
    help="Bug reports: your own with your key, all of them without one, for triage.",
    no_args_is_help=True,
)
ReportArgument = Annotated[str, typer.Argument(help="The report's id, fb_….")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
]
ReasonOption = Annotated[str | None, typer.Option(help="Why; it is recorded.", show_default=False)]
ConsoleOption = Annotated[
    str | None,
    typer.Option(
        "--console",
        envvar="BAILEE_CONSOLE_URL",
        help="Address of the console, for a machine that the server does not run on.",
        show_default=False,
    ),
]
RepositoryOption = Annotated[
    str | None, typer.Option(help="owner/name (else feedback.repository).", show_default=False)
]


def _asking(key: str | None) -> dict[str, object]:
    presented = key or os.environ.get("BAILEE_API_KEY")
    return {} if not presented else {"key": presented}


def _own(
    operation: str, arguments: dict[str, object], home: PlaceOption, console_at: str | None
) -> Fields:
    """An operation on the home here; or with a key, on the console where the server runs."""
    return ask_one(_place(arguments, home, console_at), operation, arguments)


def _place(arguments: dict[str, object], home: PlaceOption, console_at: str | None) -> PlaceOption:
    elsewhere = console_at is not None and "key" in arguments
    return HomePlace(address=console_at) if elsewhere else home


@app.command("list")
@narrowed("received", falls=True)
def list_reports(  # noqa: PLR0917 - each is an option
    state: Annotated[str | None, typer.Option(help="Only open, linked or closed ones.")] = None,
    key: KeyOption = None,
    console_at: ConsoleOption = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What you sent; without a key, what everybody sent, for triage. The latest first."""
    with reporting():
        arguments = {"state": state, **_asking(key)}
        reports = only.of(
            ask_pages(_place(arguments, home, console_at), "feedback.list", arguments)
        )
        if as_json:
            print_json(reports)
            return
        rows = [
            (
                r["id"],
                r["state"],
                moment(r["received"]),
                ", ".join(r.texts("parts")),
                size(r.number("bytes")),
                moment(r["kept_until"]),
                r.part("retention")["clause"],
                r["issue"],
            )
            for r in reports
        ]
        columns = (
            "report", "state", "received", "parts", "size", "kept until", "by clause", "issue",
        )  # fmt: skip
        console().print(table(columns, rows, right=("size",)))


@app.command()
def show(  # noqa: PLR0917 - each is an option
    report: ReportArgument,
    reason: ReasonOption = None,
    as_: AsOption = None,
    key: KeyOption = None,
    console_at: ConsoleOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """A report's content. Without the sender's key, that it was read goes on record."""
    with reporting():
        arguments = {"id": report, "reason": reason, "as": as_, **_asking(key)}
        found = _own("feedback.show", arguments, home, console_at)
        if as_json:
            print_json(found)
            return
        out = console()
        say(f"{found['id']}, {found['state']}, received {moment(found['received'])}")
        say(f"kept until {moment(found['kept_until'])} by {found.part('retention')['clause']}")
        for part, value in found.part("content").items():
            out.print()
            out.print(line(part), style="bold")
            out.print(_readable(value))


@app.command()
def withdraw(  # noqa: PLR0917 - each is an option
    report: ReportArgument,
    key: KeyOption = None,
    secret: Annotated[
        str | None,
        typer.Option(help="The report's withdrawal secret, instead of a key.", show_default=False),
    ] = None,
    console_at: ConsoleOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Withdraw a report: its key is destroyed. Prints the receipt."""
    with reporting():
        proof: dict[str, object] = {"secret": secret} if secret else _asking(key)
        arguments = {"id": report, **proof}
        receipt = _own("feedback.withdraw", arguments, home, console_at)
        if as_json:
            print_json(receipt)
            return
        say(f"{report} is withdrawn. Receipt {receipt['receipt']}:")
        rows = [(state, moment(at)) for state, at in receipt.part("states").items()]
        console().print(table(("state", "since"), rows))
        note(f"still to come: {', '.join(receipt.texts('to_come'))}")


@app.command()
def link(
    report: ReportArgument,
    issue: Annotated[str, typer.Argument(help="The issue's address.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Link a report to an existing issue."""
    _set(report, "linked", as_json, home, issue)


@app.command()
def close(report: ReportArgument, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Mark a report as dealt with."""
    _set(report, "closed", as_json, home)


@app.command()
def reopen(report: ReportArgument, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Reopen a report."""
    _set(report, "open", as_json, home)


@app.command()
def draft(  # noqa: PLR0917 - each is an option
    report: ReportArgument,
    reason: ReasonOption = None,
    as_: AsOption = None,
    repository: RepositoryOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The draft of a public issue: description and environment, secrets masked, no transcript. That
    it was read goes on record.
    """
    with reporting():
        arguments = {"id": report, "reason": reason, "as": as_, "repository": repository}
        made = ask_one(home, "feedback.draft", arguments)
        if as_json:
            print_json(made)
            return
        out = console()
        out.print(line(made.text("title")), style="bold")
        out.print(made["body"])
        masked = ", ".join(made.texts("masked")) or "nothing"
        out.print()
        note(f"masked: {masked}. Filled in already, to be edited and sent there:")
        say(made.text("url"))


@app.command("file")
def file_issue(  # noqa: PLR0917 - each is an option
    report: ReportArgument,
    reason: ReasonOption = None,
    as_: AsOption = None,
    repository: RepositoryOption = None,
    title: Annotated[str | None, typer.Option(help="Instead of the draft's.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="A file with the text instead of the draft's; - reads it.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """File the draft as a public issue through GitHub's API, and link the report.
    What is edited is scrubbed again.
    """
    with reporting():
        arguments = {
            "id": report,
            "reason": reason,
            "as": as_,
            "repository": repository,
            "title": title,
            "body": None if body is None else _text(body),
        }
        done = ask_one(home, "feedback.file", arguments)
        if as_json:
            print_json(done)
        else:
            say(f"{done['id']} is linked to {done['issue']}")


def _set(
    report: str, state: str, as_json: bool, home: PlaceOption, issue: str | None = None
) -> None:
    with reporting():
        arguments = {"id": report, "state": state, "issue": issue}
        done = ask_one(home, "feedback.set", arguments)
        if as_json:
            print_json(done)
        else:
            say(f"{done['id']} is {done['state']}.")


def _text(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError("the file with the text can't be read.") from None


def _readable(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
