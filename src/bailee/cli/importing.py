"""`bailee person import`: many people at once, from a list in a file."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee import sheets
from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.private_files import write_private
from bailee.cli.reach import Ask, JsonOption, PlaceOption, asking
from bailee.cli.show import console, print_json, say, table
from bailee.errors import InputError, StorageError

_COLUMNS: Final = ("email", "plan", "organisation", "role")
_LARGEST: Final = 16 << 20
_MOST: Final = 100_000
_AT_ONCE: Final = 100
_REFUSED: Final = "refused"


def import_(  # noqa: PLR0917 - each is an option
    file: Annotated[
        Path,
        typer.Argument(
            help="A CSV file whose first line names its columns: email, and if need be plan, "
            "organisation, role; - reads standard input."
        ),
    ],
    organisation: Annotated[
        str | None,
        typer.Option(help="Into this organisation (org_…), where the list names none."),
    ] = None,
    leave_out: Annotated[
        bool,
        typer.Option(
            "--remove-others",
            help="Let members of --organisation go who are not in the list; asks before.",
        ),
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Make a key for who is made, and write them to this new file."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; do nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make the people of a list who are not there yet, and put them into their organisations, in
    their roles. The same list can be given again: only what differs is done. A row that can't be
    done is said, and the others are. Exit status 1: there was one.
    """
    with reporting():
        if leave_out and organisation is None:
            raise InputError("--remove-others needs --organisation.")
        if keys is not None and keys.exists():
            raise InputError(f"{keys} is there already.", hint="name a new file for the keys")
        rows = list(_rows(_text(file), organisation))
        with asking(home, make=not dry_run) as ask:
            done = [*_done(ask, rows, dry_run=dry_run)]
            made = [one for one in done if one["state"] == "made"]
            if keys is not None and not dry_run:
                _make_keys(ask, keys, made, {row.get("email", ""): row for row in rows})
            refused = any(one["state"] == _REFUSED for one in done)
            gone = [] if organisation is None or not leave_out else _others(ask, organisation, rows)
            if refused and gone:
                say("Nobody is let go while a row is refused: they may be in it.", err=True)
                gone = []
            if gone and not dry_run and (yes or typer.confirm(_asked(gone), err=True)):
                for one in gone:
                    _ask_one(
                        ask, "organisation.remove_member", organisation=organisation, person=one
                    )
            elif not dry_run:
                gone = []
        _show(done, gone, as_json=as_json, dry_run=dry_run)
    if refused:
        raise typer.Exit(1)


def _text(file: Path) -> str:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(_LARGEST + 1)
    except OSError as error:
        raise StorageError(f"{file} can't be read: {error.strerror}.") from None
    if len(raw) > _LARGEST:
        raise InputError(f"the list is over {_LARGEST >> 20} MiB.", hint="give it in parts")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the list is no UTF-8 text.", hint="export it as CSV in UTF-8") from None


def _rows(text: str, organisation: str | None) -> Iterator[dict[str, str]]:
    """Each row with its columns, and with the organisation where it names none. Errors as in
    `sheets.read`.
    """
    for given in sheets.read(text, _COLUMNS, most=_MOST):
        if organisation is not None:
            given.setdefault("organisation", organisation)
        yield given


def _done(ask: Ask, rows: list[dict[str, str]], *, dry_run: bool) -> Iterator[Fields]:
    first: dict[str, dict[str, str]] = {}
    for row in rows:
        first.setdefault(row.get("email", "").casefold(), row)
    for row in rows:
        if row is not first[row.get("email", "").casefold()]:
            why = "this email stands in the list before."
            yield Fields(email=row.get("email", ""), state=_REFUSED, person=None, why=why)
    left = iter(first.values())
    while some := list(islice(left, _AT_ONCE)):
        people = [{"email": "", **row} for row in some]
        yield from _ask_one(ask, "person.import", people=people, dry_run=dry_run).parts("rows")


def _make_keys(
    ask: Ask, file: Path, made: Iterable[Fields], rows: dict[str, dict[str, str]]
) -> None:
    """Write a line for each who was made: their email, and a key of their own account or of their
    organisation's. What was made is written also when a later one fails.
    """
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(("email", "key"))
    try:
        for one in made:
            row = rows[one.text("email")]
            of = {"own": True} if row.get("plan") else {"organisation": row.get("organisation")}
            key = _ask_one(ask, "key.create", name="first key", person=one["person"], **of)
            writer.writerow((one.text("email"), key.text("key")))
    finally:
        write_private(file, [lines.getvalue().encode()])


def _others(ask: Ask, organisation: str, rows: Iterable[dict[str, str]]) -> list[str]:
    """Members who are not in the list, by their emails; owners are never among them."""
    named = {
        row.get("email", "").casefold() for row in rows if row.get("organisation") == organisation
    }
    members = _ask_one(ask, "organisation.show", organisation=organisation).parts("members")
    return [
        one.text("email")
        for one in members
        if one["email"] and one["role"] != "owner" and one.text("email").casefold() not in named
    ]


def _asked(gone: list[str]) -> str:
    some = ", ".join(gone[:5]) + (" …" if len(gone) > 5 else "")
    return f"Let {len(gone)} members go, whose keys there end ({some})?"


def _ask_one(ask: Ask, operation: str, **arguments: object) -> Fields:
    (found,) = ask(operation, {name: one for name, one in arguments.items() if one is not None})
    return fields(found)


def _show(done: list[Fields], gone: list[str], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print_json({"rows": done, "removed": gone, "dry_run": dry_run})
        return
    told = [(one["email"], one["state"], one["why"]) for one in done if one["state"] != "same"]
    if told:
        console().print(table(("email", "", "why"), told))
    counts = Counter(one.text("state") for one in done)
    counts["let go"] = len(gone)
    said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()) if number)
    say(f"{said or 'nobody'}{' (nothing was done)' if dry_run else ''}.")
